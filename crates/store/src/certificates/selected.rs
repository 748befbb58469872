//! Certificates that a selection means: how many there are and where, and which ones are left to be revoked.

use std::fmt::Write as _;

use pki_core::ids::{CertificateId, DeviceName, ProfileName, SiteName};
use pki_core::revocation::Reason;
use pki_core::revocation::selection::{Condition, Moment, Selection, Side, Test};
use pki_core::time::Timestamp;

use crate::certificates::{TABLE, search};
use crate::dialect;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::{Row, Value};

/// The CA's own TLS certificate is no part of any set: without it nobody could ask for a new one.
const NOT_OWN: &str = "NOT (c.source = 'api' AND c.profile = 'ca-server')";

/// What is to become of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// It is revoked with this reason, which decides what revoked ones are still to be changed.
    Revoke(Option<Reason>),
    /// What is on hold is in force again.
    Release,
}

/// What can be released: on hold, and not of a device that is out of service.
const ON_HOLD: &str = "(c.state = 'revoked' AND c.revocation_reason = 6 AND (c.device_id IS NULL OR EXISTS \
                       (SELECT 1 FROM device d WHERE d.id = c.device_id AND d.state IN ('registered', 'enrolled'))))";

/// A set that is to be revoked or released.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// Which certificates.
    pub selection: &'a Selection,
    /// What is to become of them.
    pub aim: Aim,
    /// As of this time: what has ended before is left out.
    pub now: Timestamp,
    /// None that was made later than this one.
    pub up_to: CertificateId,
}

/// What becomes of a certificate of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// It is to be revoked, or its reason to be changed; or it is to be released.
    Affected,
    /// It is revoked already; or it is not on hold.
    Already,
    /// Of a release: it is revoked for good, or its device is out of service.
    Kept,
    /// Of a revocation: it is being signed.
    Planned,
    /// It has ended.
    Expired,
}

/// Certificates of one site and profile with one fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their site.
    pub site: SiteName,
    /// Their profile.
    pub profile: ProfileName,
    /// What becomes of them.
    pub fate: Fate,
    /// How many.
    pub count: u64,
}

/// Conditions of a statement and their values.
///
/// A batch is the next some by id. SQLite goes by the index that promises the fewest rows, and where that is in another order it
/// reads all of them and sorts, for each batch anew: a set of a million would take hours. So conditions that many certificates
/// fit are tested row by row along the ids, and those that few fit name ids, which SQLite takes in their order.
struct Where {
    sql: String,
    values: Vec<Value<'static>>,
    /// The placeholders of the ids between which a statement looks: behind the one, up to the other.
    window: Option<(String, String)>,
}

impl Where {
    /// Takes a value in; what stands for it in the text.
    fn put(&mut self, value: impl Into<Value<'static>>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn and(&mut self, condition: &str) {
        // writing into a String cannot fail
        let _ = write!(self.sql, " AND {condition}");
    }

    fn of(tx: &Tx<'_>, target: &Target<'_>) -> Self {
        Self::along("c.id", tx, target, None)
    }

    fn along(id: &str, tx: &Tx<'_>, target: &Target<'_>, after: Option<CertificateId>) -> Self {
        let mut all = Self { sql: NOT_OWN.to_owned(), values: Vec::new(), window: None };
        all.window = Some((all.put(crate::after(after)), all.put(Value::text(target.up_to))));
        all.sql += &all.within(id);
        all.select(tx, target.selection);
        all
    }

    fn select(&mut self, tx: &Tx<'_>, selection: &Selection) {
        for condition in selection.conditions() {
            self.condition(tx, condition);
        }
    }

    /// What keeps a column with ids within the window.
    fn within(&self, column: &str) -> String {
        let between = |(after, last): &(String, String)| format!(" AND {column} > {after} AND {column} <= {last}");
        self.window.as_ref().map_or_else(String::new, between)
    }

    fn condition(&mut self, tx: &Tx<'_>, condition: &Condition) {
        let test = self.test(tx, &condition.test);
        // what is unknown of a certificate, as the device of one that has none, is not equal to anything
        self.and(&if condition.negated { format!("NOT COALESCE(({test}), FALSE)") } else { test });
    }

    fn test(&mut self, tx: &Tx<'_>, test: &Test) -> String {
        match test {
            Test::Issuer(issuer) => {
                let (id, name) = (self.put(issuer.clone()), self.put(issuer.clone()));
                let column = dialect::tested(tx, "c.issuer_id");
                format!("{column} IN (SELECT id FROM issuer WHERE id = {id} OR name = {name})")
            }
            Test::Profile(name) => format!("c.profile = {}", self.put(Value::text(name))),
            Test::Site(name) => format!("c.site_id = {}", self.put(Value::text(name))),
            Test::Device(name) => {
                format!("c.device_id = (SELECT id FROM device WHERE name = {})", self.put(Value::text(name)))
            }
            Test::Label { key, value } => {
                let (key, value, within) = (self.put(key.clone()), self.put(value.clone()), self.within("o.id"));
                let member = dialect::member(tx, "labels");
                format!(
                    "c.id IN (SELECT o.id FROM certificate o WHERE o.device_id IN \
                     (SELECT id FROM device WHERE ({member} {key}) = {value}){within})"
                )
            }
            Test::Name(pattern) => {
                let (first, last) = search::range(pattern);
                let (first, last, within) = (self.put(first), self.put(last), self.within("certificate_id"));
                format!(
                    "c.id IN (SELECT certificate_id FROM certificate_name WHERE token >= {first} AND token < {last}{within})"
                )
            }
            Test::Key(sha256) => {
                format!("c.id IN (SELECT id FROM certificate WHERE spki_sha256 = {})", self.put(sha256.to_vec()))
            }
            Test::Reason(None) => "(c.state = 'revoked' AND c.revocation_reason IS NULL)".to_owned(),
            Test::Reason(Some(reason)) => format!("c.revocation_reason = {}", self.put(Some(*reason))),
            Test::Time { moment, side, at } => {
                let column = match moment {
                    Moment::Issued => "c.created_at",
                    Moment::Expires => "c.not_after",
                    Moment::Revoked => "c.revoked_at",
                };
                let column = dialect::tested(tx, column);
                format!("{column} {} {}", if *side == Side::After { ">=" } else { "<" }, self.put(*at))
            }
        }
    }

    /// The decisions of `pki_core::revocation`, as far as they find the rows to be decided on.
    fn affected(&mut self, target: &Target<'_>) -> String {
        let Aim::Revoke(reason) = target.aim else { return ON_HOLD.to_owned() };
        let code = reason.map_or(-1, |reason| i64::from(reason.code()));
        let (code, same) = (self.put(code), self.put(code));
        format!(
            "(c.state = 'issued' OR (c.state = 'revoked' AND COALESCE(c.revocation_reason, -1) <> {code} \
             AND (c.revocation_reason = 6 OR {same} = 1)))"
        )
    }
}

/// The conditions of a selection, for statements whose certificates are called `c`.
pub(crate) fn conditions(tx: &Tx<'_>, selection: &Selection) -> (String, Vec<Value<'static>>) {
    let mut all = Where { sql: "TRUE".to_owned(), values: Vec::new(), window: None };
    all.select(tx, selection);
    (all.sql, all.values)
}

/// How many certificates of a set are where, and what becomes of them.
pub async fn count(tx: &mut Tx<'_>, target: &Target<'_>) -> Result<Vec<Group>, StoreError> {
    let mut all = Where::of(tx, target);
    let (affected, now) = (all.affected(target), all.put(target.now));
    let others = match target.aim {
        Aim::Revoke(_) => "WHEN c.state = 'planned' THEN 'planned'",
        Aim::Release => "WHEN c.state = 'revoked' THEN 'kept'",
    };
    let sql = format!(
        "SELECT c.site_id, c.profile, CASE WHEN c.not_after < {now} THEN 'expired' WHEN {affected} THEN 'affected' \
         {others} ELSE 'already' END AS fate, COUNT(*) FROM certificate c WHERE {} \
         GROUP BY c.site_id, c.profile, fate ORDER BY c.site_id, c.profile",
        all.sql
    );
    tx.rows(sql, &all.values).await?.into_iter().map(load_group).collect()
}

/// The devices that hold most of what a set affects, the most first, and how many hold any; none is what no device holds.
pub async fn count_by_device(
    tx: &mut Tx<'_>,
    target: &Target<'_>,
    limit: u32,
) -> Result<(Vec<(Option<DeviceName>, u64)>, u64), StoreError> {
    let mut all = Where::of(tx, target);
    let (affected, now) = (all.affected(target), all.put(target.now));
    let limit = all.put(limit);
    let sql = format!(
        "SELECT d.name, g.many, g.holders FROM (SELECT c.device_id, COUNT(*) AS many, COUNT(*) OVER () AS holders \
         FROM certificate c WHERE {} AND {affected} AND c.not_after >= {now} GROUP BY c.device_id) AS g \
         LEFT JOIN device d ON d.id = g.device_id ORDER BY g.many DESC, d.name LIMIT {limit}",
        all.sql
    );
    let mut holders = 0;
    let mut rows = Vec::new();
    for row in tx.rows(sql, &all.values).await? {
        let mut fields = row.fields(TABLE);
        rows.push((fields.maybe_parse()?, fields.u64()?));
        holders = fields.u64()?;
    }
    Ok((rows, holders))
}

/// The ids of what a set affects behind `after`, oldest first.
pub async fn affected(
    tx: &mut Tx<'_>,
    target: &Target<'_>,
    after: Option<CertificateId>,
    limit: u32,
) -> Result<Vec<CertificateId>, StoreError> {
    let (sql, values) = batch(tx, target, after, limit);
    tx.rows(sql, &values).await?.into_iter().map(|row| row.fields(TABLE).id()).collect()
}

fn batch(tx: &Tx<'_>, target: &Target<'_>, after: Option<CertificateId>, limit: u32) -> (String, Vec<Value<'static>>) {
    let mut all = Where::along("c.id", tx, target, after);
    let (affected, now, limit) = (all.affected(target), all.put(target.now), all.put(limit));
    let sql = format!(
        "SELECT c.id FROM certificate c WHERE {} AND {affected} AND c.not_after >= {now} ORDER BY c.id LIMIT {limit}",
        all.sql
    );
    (sql, all.values)
}

/// The newest certificate there is: a set that is planned now ends with it.
pub async fn newest(tx: &mut Tx<'_>) -> Result<Option<CertificateId>, StoreError> {
    let row = tx.row("SELECT MAX(id) FROM certificate", &[]).await?;
    row.map_or(Ok(None), |row| row.fields(TABLE).maybe_parse())
}

/// How many of a set are being signed: they can be revoked a moment later.
pub async fn count_planned(tx: &mut Tx<'_>, target: &Target<'_>) -> Result<u64, StoreError> {
    let (sql, values) = planned(tx, target);
    counted(tx.row(sql, &values).await?)
}

/// They are few, and have an index of their own.
fn planned(tx: &Tx<'_>, target: &Target<'_>) -> (String, Vec<Value<'static>>) {
    let all = Where::along(&dialect::tested(tx, "c.id"), tx, target, None);
    (format!("SELECT COUNT(*) FROM certificate c WHERE {} AND c.state = 'planned'", all.sql), all.values)
}

/// Whether anything in force is no part of a set; what was made later than its end does not count. What is on hold already, or
/// is given another reason only, is not in force.
pub async fn leaves_any(tx: &mut Tx<'_>, target: &Target<'_>) -> Result<bool, StoreError> {
    let mut all = Where::of(tx, target);
    let (now, end) = (all.put(target.now), all.put(Value::text(target.up_to)));
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM certificate c WHERE {NOT_OWN} AND c.state = 'issued' AND c.not_after >= {now} \
         AND c.id <= {end} AND NOT COALESCE(({}), FALSE) LIMIT 1) AS others",
        all.sql
    );
    Ok(counted(tx.row(sql, &all.values).await?)? > 0)
}

fn counted(row: Option<Row>) -> Result<u64, StoreError> {
    row.ok_or_else(|| StoreError::fault("counting had no answer"))?.fields(TABLE).u64()
}

fn load_group(row: Row) -> Result<Group, StoreError> {
    let mut fields = row.fields(TABLE);
    let (site, profile) = (fields.parse()?, fields.parse()?);
    let fate = match fields.text()?.as_str() {
        "affected" => Fate::Affected,
        "already" => Fate::Already,
        "kept" => Fate::Kept,
        "planned" => Fate::Planned,
        "expired" => Fate::Expired,
        other => return Err(fields.corrupt(format!("no fate is called `{other}`"))),
    };
    Ok(Group { site, profile, fate, count: fields.u64()? })
}

#[cfg(test)]
#[path = "selected_tests.rs"]
mod tests;
