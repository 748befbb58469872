//! Device records.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use pki_core::device::{Device, DeviceState, LabelSelector, Labels};
use pki_core::ids::{CertificateId, DeviceId, DeviceName};
use pki_core::time::Timestamp;
use pki_core::x509::name::{DnsName, Identifier};

use crate::error::StoreError;
use crate::text;
use crate::tx::{Touch, Tx};
use crate::value::{Fields, Row, Value};
use crate::{dialect, sql};

const TABLE: &str = "device";

/// One row for each name, or one without: a device, its names and its labels in one statement.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, d.site_id, d.name, d.profile, d.state, d.state_at, d.created_at, d.last_seen_at, d.version, \
             d.labels, n.kind, n.value FROM device d LEFT JOIN device_name n ON n.device_id = d.id ",
            $rest
        )
    };
}

/// Adds a device. [`StoreError::Duplicate`] when its name is taken.
pub async fn insert(tx: &mut Tx<'_>, device: &Device) -> Result<(), StoreError> {
    let (state, since) = columns(device.state);
    tx.execute(
        "INSERT INTO device (id, site_id, name, profile, state, state_at, created_at, last_seen_at, version, labels) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            Value::text(device.id),
            device.site.as_str().into(),
            device.name.as_str().into(),
            device.profile.as_str().into(),
            state.into(),
            since.into(),
            device.created_at.into(),
            device.last_seen_at.into(),
            device.version.into(),
            stored(&device.labels),
        ],
    )
    .await?;
    insert_names(tx, device.id, &device.dns, &device.ips).await
}

/// The device of that id.
pub async fn find(tx: &mut Tx<'_>, id: DeviceId) -> Result<Option<Device>, StoreError> {
    let rows = tx.rows(select!("WHERE d.id = $1 ORDER BY n.position"), &[Value::text(id)]).await?;
    Ok(gather(rows)?.pop())
}

/// Where the device of that id stands; it stays so until the transaction ends.
pub async fn hold(tx: &mut Tx<'_>, id: DeviceId) -> Result<Option<DeviceState>, StoreError> {
    let sql = format!("SELECT state, state_at FROM device WHERE id = $1{}", dialect::shared(tx));
    tx.row(sql, &[Value::text(id)]).await?.map(|row| load_state(&mut row.fields(TABLE))).transpose()
}

/// The devices in service that hold any of these certificates; they stay so until the transaction ends.
pub async fn hold_in_service_of(tx: &mut Tx<'_>, certificates: &[CertificateId]) -> Result<Vec<DeviceId>, StoreError> {
    if certificates.is_empty() {
        return Ok(Vec::new());
    }
    // in one order, so that no two transactions wait for each other
    let sql = format!(
        "SELECT id FROM device WHERE id IN (SELECT device_id FROM certificate WHERE id IN ({})) \
         AND state IN ('registered', 'enrolled') ORDER BY id{}",
        sql::repeated("$1", certificates.len()),
        dialect::shared(tx)
    );
    let values: Vec<Value<'_>> = sql::padded(certificates).map(Value::text).collect();
    tx.rows(sql, &values).await?.into_iter().map(|row| row.fields(TABLE).id()).collect()
}

/// Holds the device of that id, which must be in service.
pub async fn require_in_service(tx: &mut Tx<'_>, id: DeviceId) -> Result<(), StoreError> {
    require(tx, id, dialect::shared(tx)).await
}

/// The same, and nobody else holds it: for what is decided on everything that the device has.
pub async fn require_in_service_alone(tx: &mut Tx<'_>, id: DeviceId) -> Result<(), StoreError> {
    require(tx, id, dialect::alone(tx)).await
}

async fn require(tx: &mut Tx<'_>, id: DeviceId, lock: &str) -> Result<(), StoreError> {
    let sql = format!("SELECT 1 FROM device WHERE id = $1 AND state IN ('registered', 'enrolled'){lock}");
    tx.put((TABLE, id), Touch::Held, sql, &[Value::text(id)]).await
}

/// The device of that name.
pub async fn find_by_name(tx: &mut Tx<'_>, name: &DeviceName) -> Result<Option<Device>, StoreError> {
    let rows = tx.rows(select!("WHERE d.name = $1 ORDER BY n.position"), &[name.as_str().into()]).await?;
    Ok(gather(rows)?.pop())
}

/// Which devices are looked for; all by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this name, or of names that begin with it when it ends in `*`.
    pub name: Option<String>,
    /// Those with all of these labels.
    pub labels: Vec<LabelSelector>,
}

/// The devices behind `after` that the filter lets through, oldest first. Walks the table in that order: a list is asked
/// for by people, and page by page.
pub async fn list(
    tx: &mut Tx<'_>,
    filter: &Filter,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<Device>, StoreError> {
    let mut values = vec![crate::after(after), limit.into()];
    let mut conditions = String::new();
    if let Some(name) = &filter.name {
        match name.strip_suffix('*') {
            // no name has a character behind this one
            Some(begin) => values.extend([begin.into(), Value::text(format_args!("{begin}\u{10ffff}"))]),
            None => values.extend([name.into(), name.into()]),
        }
        conditions.push_str(" AND name >= $3 AND name <= $4");
    }
    let member = dialect::member(tx, "labels");
    for LabelSelector { key, value } in &filter.labels {
        values.push(key.as_str().into());
        let _ = write!(conditions, " AND {member} ${} ", values.len());
        match value {
            Some(value) => {
                values.push(value.as_str().into());
                let _ = write!(conditions, "= ${}", values.len());
            }
            None => conditions.push_str("IS NOT NULL"),
        }
    }
    let chosen = format!("SELECT id FROM device WHERE id > $1{conditions} ORDER BY id LIMIT $2");
    let sql = format!(select!("WHERE d.id IN ({}) ORDER BY d.id, n.position"), chosen);
    gather(tx.rows(sql, &values).await?)
}

/// The devices that hold certificates whose ids are between these two, inclusive.
pub async fn list_holding(
    tx: &mut Tx<'_>,
    first: CertificateId,
    last: CertificateId,
) -> Result<Vec<Device>, StoreError> {
    let sql = select!(
        "WHERE d.id IN (SELECT device_id FROM certificate WHERE id >= $1 AND id <= $2) ORDER BY d.id, n.position"
    );
    gather(tx.rows(sql, &[Value::text(first), Value::text(last)]).await?)
}

/// The devices that may have a name without challenge, oldest first.
pub async fn list_by_identifier(tx: &mut Tx<'_>, identifier: &Identifier) -> Result<Vec<Device>, StoreError> {
    let sql = select!(
        "WHERE d.id IN (SELECT device_id FROM device_name WHERE kind = $1 AND value = $2) ORDER BY d.id, n.position"
    );
    gather(tx.rows(sql, &[identifier.kind().into(), identifier.value().into()]).await?)
}

/// Writes name, profile and state; the new version. Names for certificates are changed by [`set_names`].
pub async fn update(tx: &mut Tx<'_>, device: &Device) -> Result<i64, StoreError> {
    let (state, since) = columns(device.state);
    let sql = "UPDATE device SET name = $3, profile = $4, state = $5, state_at = $6, version = version + 1 \
               WHERE id = $1 AND version = $2";
    let values = [
        Value::text(device.id),
        device.version.into(),
        device.name.as_str().into(),
        device.profile.as_str().into(),
        state.into(),
        since.into(),
    ];
    crate::guard(tx.execute(sql, &values).await?, TABLE, device.id)?;
    Ok(device.version + 1)
}

/// Writes the names that a device may have without challenge; the new version of the device.
pub async fn set_names(
    tx: &mut Tx<'_>,
    id: DeviceId,
    dns: &[DnsName],
    ips: &[IpAddr],
    version: i64,
) -> Result<i64, StoreError> {
    let sql = "UPDATE device SET version = version + 1 WHERE id = $1 AND version = $2";
    crate::guard(tx.execute(sql, &[Value::text(id), version.into()]).await?, TABLE, id)?;
    tx.execute("DELETE FROM device_name WHERE device_id = $1", &[Value::text(id)]).await?;
    insert_names(tx, id, dns, ips).await?;
    Ok(version + 1)
}

/// Writes the labels; the new version of the device.
pub async fn set_labels(tx: &mut Tx<'_>, id: DeviceId, labels: &Labels, version: i64) -> Result<i64, StoreError> {
    let sql = "UPDATE device SET labels = $3, version = version + 1 WHERE id = $1 AND version = $2";
    crate::guard(tx.execute(sql, &[Value::text(id), version.into(), stored(labels)]).await?, TABLE, id)?;
    Ok(version + 1)
}

/// Remembers that a device was heard of, never an earlier time than is known. Changes no version: it decides nothing.
pub async fn touch_last_seen(tx: &mut Tx<'_>, id: DeviceId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE device SET last_seen_at = $2 WHERE id = $1 AND (last_seen_at IS NULL OR last_seen_at < $2)";
    tx.execute(sql, &[Value::text(id), at.into()]).await.map(drop)
}

async fn insert_names(tx: &mut Tx<'_>, device: DeviceId, dns: &[DnsName], ips: &[IpAddr]) -> Result<(), StoreError> {
    let dns = dns.iter().map(|name| ("dns", name.to_string()));
    let names = dns.chain(ips.iter().map(|address| ("ip", address.to_string()))).collect::<Vec<_>>();
    for (position, (kind, value)) in (0_i64..).zip(names) {
        tx.execute(
            "INSERT INTO device_name (device_id, position, kind, value) VALUES ($1, $2, $3, $4)",
            &[Value::text(device), position.into(), kind.into(), value.into()],
        )
        .await?;
    }
    Ok(())
}

/// `{"line":"Line 4","role":"edge"}`
fn stored(labels: &Labels) -> Value<'static> {
    text::json(&labels.iter().collect::<BTreeMap<_, _>>())
}

fn load_labels(fields: &mut Fields) -> Result<Labels, StoreError> {
    let text = fields.text()?;
    let pairs: BTreeMap<String, String> = text::from_json(fields, &text)?;
    let labels = Labels::parse(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    labels.map_err(|error| fields.corrupt(error.to_string()))
}

const fn columns(state: DeviceState) -> (&'static str, Option<Timestamp>) {
    match state {
        DeviceState::Registered => ("registered", None),
        DeviceState::Enrolled { at } => ("enrolled", Some(at)),
        DeviceState::Retired { at } => ("retired", Some(at)),
        DeviceState::Compromised { at } => ("compromised", Some(at)),
    }
}

/// Rows of one device follow each other.
fn gather(rows: Vec<Row>) -> Result<Vec<Device>, StoreError> {
    let mut gathered: Vec<Device> = Vec::new();
    for row in rows {
        let mut fields = row.fields(TABLE);
        let device = load(&mut fields)?;
        if gathered.last().is_none_or(|last| last.id != device.id) {
            gathered.push(device);
        }
        let Some(kind) = fields.maybe_text()? else { continue };
        let value = fields.text()?;
        let name = text::identifier(&fields, &kind, &value)?;
        match (gathered.last_mut(), name) {
            (Some(last), Identifier::Dns(name)) => last.dns.push(name),
            (Some(last), Identifier::Ip(address)) => last.ips.push(address),
            (Some(_), other) => return Err(fields.corrupt(format!("a device has no {} name", other.kind()))),
            (None, _) => {}
        }
    }
    Ok(gathered)
}

fn load_state(fields: &mut Fields) -> Result<DeviceState, StoreError> {
    match (fields.text()?.as_str(), fields.maybe_time()?) {
        ("registered", None) => Ok(DeviceState::Registered),
        ("enrolled", Some(at)) => Ok(DeviceState::Enrolled { at }),
        ("retired", Some(at)) => Ok(DeviceState::Retired { at }),
        ("compromised", Some(at)) => Ok(DeviceState::Compromised { at }),
        (word, at) => Err(fields.corrupt(format!("state `{word}` {} time", crate::with(at.is_some())))),
    }
}

fn load(fields: &mut Fields) -> Result<Device, StoreError> {
    Ok(Device {
        id: fields.id()?,
        site: fields.parse()?,
        name: fields.parse()?,
        profile: fields.parse()?,
        dns: Vec::new(),
        ips: Vec::new(),
        state: load_state(fields)?,
        created_at: fields.time()?,
        last_seen_at: fields.maybe_time()?,
        version: fields.int()?,
        labels: load_labels(fields)?,
    })
}
