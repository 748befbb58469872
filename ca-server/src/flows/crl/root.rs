//! The root's list, which a ceremony signed and somebody put into the CA's folder: a newer one takes the place of the one that
//! is served, an older one does not. Relying parties were told that numbers rise (RFC 5280 section 5.2.3).

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use pki_core::x509::crl::Crl;

use super::{Context, marks, report, settle};
use crate::telemetry::crl::Part;

/// Where the copy of it lies that was published last.
pub fn copy(ctx: &Context) -> PathBuf {
    ctx.crls.folder.of_root(ctx.root.id)
}

/// Serves this list from now on, if it is newer than the one that is served; whether it is.
pub fn take(ctx: &Context, crl: Crl) -> bool {
    if crl.number() <= ctx.root.crl().number() {
        return false;
    }
    ctx.metrics.root_crl_next_update.store(crl.next_update().unix_seconds(), Ordering::Relaxed);
    ctx.root.replace_crl(crl);
    true
}

/// Takes the list that `file` holds, or why it holds none. A file that is behind what was published is told of until another one
/// is there.
pub async fn offer(ctx: &Context, file: &Path, found: Result<Crl, String>) {
    let marked = ctx.crls.marks.known().get(&marks::scope(ctx.root.id, None));
    let outcome = match found {
        Ok(crl) => {
            let (number, until) = (crl.number(), crl.next_update());
            if take(ctx, crl.clone()) {
                tracing::info!(number, %until, "took up the root's new CRL");
                settle(ctx).await;
            }
            judge(ctx, file, &crl, marked)
        }
        Err(why) => Err(format!("the root's list is not taken up: {why}")),
    };
    report(ctx, Part::Root, Some(ctx.root.id), outcome).await;
}

fn judge(ctx: &Context, file: &Path, crl: &Crl, marked: u64) -> Result<(), String> {
    let served = ctx.root.crl();
    if *crl == served && crl.number() >= marked {
        return Ok(());
    }
    let newest = marked.max(served.number());
    let remedy = match served.number() == newest {
        true => format!("put the newer one back, of which {} is a copy", copy(ctx).display()),
        false => "put the newer one back, or sign one with `ca-server root sign`".to_owned(),
    };
    Err(format!(
        "the root's list {} in {} is not what was published last, which is {newest}; {} is served; {remedy}",
        crl.number(),
        file.display(),
        served.number(),
    ))
}
