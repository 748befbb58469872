//! Commands to a running CA.

pub(super) mod audit;
pub(super) mod cert;
pub(super) mod crl;
pub(super) mod device;
pub(super) mod eab;
pub(super) mod profile;
pub(super) mod revocation;
pub(super) mod status;

/// A time span in the largest unit that fits.
fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let fitting = units.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    fitting.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}
