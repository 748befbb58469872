//! The ACME clients that people use, unmodified, against a real `ca-server`: one file a client. The commands are those of
//! `docs/clients.md`, typed as they stand there; `table` keeps that page and these tests together.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod acme_sh;
mod acme_tiny;
mod alpn;
mod caddy;
mod certbot;
mod client;
mod dehydrated;
mod instant_acme;
mod labels;
mod lego;
mod mod_md;
mod proxy;
mod rustls_acme;
mod table;
mod uacme;
mod world;
mod xcrypto;
