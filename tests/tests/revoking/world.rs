//! Devices that hold certificates, and a database with many.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use api::token::EnrolmentToken;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use ring::hmac;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Client, Key, b64, new_account};
use tests::ca::Ca;

/// A device with an account that is bound to it.
pub(crate) struct Gateway {
    pub(crate) name: String,
    pub(crate) dns: String,
    pub(crate) account: Account,
}

/// A certificate as its holder has it.
pub(crate) struct Issued {
    pub(crate) serial: String,
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
}

/// The payload of newAccount with the external account key of a token.
pub(crate) fn bound(token: &str, url: &str, key: &Key) -> Value {
    let token = EnrolmentToken::parse(token).unwrap();
    let secret = BASE64_URL_SAFE_NO_PAD.decode(token.secret.expose()).unwrap();
    let header = b64(json!({ "alg": "HS256", "kid": token.kid, "url": url }).to_string());
    let payload = b64(key.jwk().to_string());
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), format!("{header}.{payload}").as_bytes());
    json!({ "externalAccountBinding": { "protected": header, "payload": payload, "signature": b64(mac) } })
}

impl Gateway {
    /// Registers a device and enrols it.
    pub(crate) async fn enrol(ca: &Ca, client: &Arc<Client>, name: &str) -> Self {
        let dns = format!("{name}.site.test");
        let token = ca.device_add(name, "gateway", &[&dns]).await;
        let account = Self::register(client, &token).await;
        Self { name: name.to_owned(), dns, account }
    }

    pub(crate) async fn register(client: &Arc<Client>, token: &str) -> Account {
        let (key, url) = (Key::new(), client.url("newAccount"));
        let made = new_account(client, &key, &bound(token, &url, &key)).await.expect("ACC-10", 201, "");
        Account { client: Arc::clone(client), key, url: made.location() }
    }

    /// A new order, ready at once: the device's own name needs no challenge.
    pub(crate) async fn order(&self) -> Answer {
        let payload = json!({ "identifiers": [{ "type": "dns", "value": self.dns }], "profile": "gateway" });
        self.post(&self.account.client.url("newOrder"), &payload).await
    }

    /// Finalizes an order with a key of its own.
    pub(crate) async fn finalize(&self, order: &Value) -> Answer {
        self.finalize_with(order, &KeyPair::generate().unwrap()).await
    }

    /// Finalizes an order with this key.
    pub(crate) async fn finalize_with(&self, order: &Value, key: &KeyPair) -> Answer {
        let mut params = CertificateParams::new(vec![self.dns.clone()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(key).unwrap().der().to_vec();
        self.post(order["finalize"].as_str().unwrap(), &json!({ "csr": b64(csr) })).await
    }

    /// A nonce from before a restart is not good after it: once more, as every client does.
    async fn post(&self, url: &str, payload: &Value) -> Answer {
        let answer = self.account.post(url, payload).await;
        if answer.status == 400 && answer.problem() == "badNonce" {
            self.account.post(url, payload).await
        } else {
            answer
        }
    }

    /// A certificate.
    pub(crate) async fn issue(&self) -> Issued {
        self.issue_with(&KeyPair::generate().unwrap()).await
    }

    /// A certificate of this key.
    pub(crate) async fn issue_with(&self, key: &KeyPair) -> Issued {
        let order = self.order().await.expect("ORD-1", 201, "").json();
        let done = self.finalize_with(&order, key).await.expect("FIN-1", 200, "").json();
        let pem =
            self.account.get(done["certificate"].as_str().unwrap()).await.expect("CRT-1", 200, "").text().to_owned();
        Issued::of(pem)
    }
}

impl Issued {
    pub(crate) fn of(pem: String) -> Self {
        let der = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1.contents;
        let serial = serial(&der);
        Self { serial, pem, der }
    }
}

/// The serial number in hexadecimal as the CA lists it.
pub(crate) fn serial(der: &[u8]) -> String {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
    certificate.raw_serial().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// How the CA lists a certificate.
pub(crate) async fn shown(ca: &Ca, serial: &str) -> Value {
    ca.json(&["cert", "show", serial]).await
}

/// Multiplies the newest certificate of a CA on SQLite that is stopped: `(site, profile, how many, seconds from now to
/// the end)` each, with names of their own below `line3.test`.
pub(crate) fn multiply(ca: &Ca, groups: &[(&str, &str, u32, i64)]) {
    const PROGRAM: &str = r#"
import json, os, sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.row_factory = sqlite3.Row
newest = database.execute("SELECT * FROM certificate WHERE device_id IS NOT NULL ORDER BY id DESC LIMIT 1").fetchone()
database.execute("BEGIN")
number = 0
for site, profile, count, seconds in json.loads(sys.argv[2]):
    for _ in range(count):
        row = dict(newest)
        row["id"] = newest["id"][:12] + os.urandom(10).hex()
        row["serial"] = "40" + os.urandom(15).hex()
        row["site_id"], row["profile"] = site, profile
        row["not_after"] = int((time.time() + seconds) * 1000)
        row["identifiers"] = json.dumps([["dns", f"m{number}.line3.test"]])
        columns = ", ".join(row)
        database.execute(f"INSERT INTO certificate ({columns}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        for token in (f"=m{number}.line3.test", f"<test.line3.m{number}."):
            database.execute("INSERT INTO certificate_name VALUES (?, ?)", (token, row["id"]))
        number += 1
database.execute("COMMIT")
"#;
    python(PROGRAM, &ca.dir(), &serde_json::to_string(groups).unwrap());
}

/// Runs a Python program on the database of a CA on SQLite.
pub(crate) fn python(program: &str, dir: &Path, argument: &str) -> String {
    let output =
        Command::new("python3").args(["-c", program]).arg(dir.join("pilotlight.db")).arg(argument).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How many certificates stand so, by the database.
pub(crate) fn count(ca: &Ca, condition: &str) -> u64 {
    const PROGRAM: &str = "import sqlite3, sys\n\
        print(sqlite3.connect(sys.argv[1]).execute('SELECT COUNT(*) FROM certificate WHERE ' + sys.argv[2]).fetchone()[0])";
    python(PROGRAM, &ca.dir(), condition).trim().parse().unwrap()
}
