//! Whole-system tests: the real programs with real clients and services.
//!
//! This library starts things and stops them again; what must hold is said in `tests/tests/*.rs`. [`world`] puts a CA
//! and its agents together, [`replicas`] several servers of one CA; [`nginx`], [`rabbitmq`] and [`dns`] are the services;
//! [`https`] and [`amqp`] are their clients, and [`http`] asks once.
//! Everything lives in temporary folders and on ports that the kernel chose, waits for states, and never sleeps for luck.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a harness fails by panicking, and tells the programs under test their environment and time"
)]

pub mod acme;
pub mod acme_raw;
pub mod agent;
pub mod amqp;
pub mod ca;
pub mod certificate;
pub mod conformance;
pub mod database;
pub mod disk;
pub mod dns;
pub mod external_account;
pub mod folders;
pub mod gateway;
pub mod http;
pub mod https;
pub mod issuing_key;
pub mod manual;
pub mod nginx;
pub mod pkilint;
pub mod ports;
#[path = "../../crates/store/tests/support/postgres.rs"]
mod postgres;
pub mod process;
pub mod programs;
pub mod rabbitmq;
pub mod replicas;
pub mod rows;
pub mod site;
pub mod tls_alpn;
pub mod wait;
pub mod webroot;
pub mod world;
