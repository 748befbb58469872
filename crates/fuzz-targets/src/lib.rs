//! What must hold for any bytes that arrive: one function a target, each taking the input and asserting what is promised
//! of it. A broken promise is a panic, which is what a fuzzer looks for.
//!
//! `fuzz/` runs these under libFuzzer; `tests/corpus.rs` here replays `fuzz/corpus/TARGET/` with the same functions on
//! every test run. Nothing here knows how inputs are made.

mod acme;
mod names;
mod ocsp;
mod problem;
mod texts;
mod x509;

pub use acme::{EAB_URL, eab_account_key, jws};
pub use names::names;
pub use ocsp::ocsp;
pub use problem::problem;
pub use texts::{config, policy, token};
pub use x509::{certificate, crl, csr, pem};

/// Every target: its name, which is also the name of its folder in `fuzz/corpus`, and its function.
pub const TARGETS: [Target; 11] = [
    ("jws", jws),
    ("csr", csr),
    ("names", names),
    ("problem", problem),
    ("policy", policy),
    ("token", token),
    ("config", config),
    ("certificate", certificate),
    ("crl", crl),
    ("ocsp", ocsp),
    ("pem", pem),
];

/// A name and a function.
pub type Target = (&'static str, fn(&[u8]));

/// The input as text, for targets that read texts; bytes that are not UTF-8 never get that far.
fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}
