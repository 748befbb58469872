//! A CA that is open to everybody, the server that answers its validation, and the steps that many tests begin with.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Client, b64};
use tests::ca::Ca;
use tests::folders::{Folder, write};
use tests::ports::Port;
use tests::wait;

use crate::responder::{Reply, Responder};

/// Names with `*.`, which only the DNS can prove.
const WILD: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata:\n  name: wild\n  description: Wildcards\n\
    spec:\n  identifiers:\n    dns: [{ suffix: localhost }]\n    wildcards: true\n  usage: { extendedKeyUsage: [serverAuth] }\n\
    \x20 commonName: false\n  lifetime: 1d\n  backdate: 0s\n  renewal: { at: 0.5, grace: 1d }\n\
    \x20 requires: { binding: none, challenges: [http-01, dns-01] }\n";

/// The CA and its surroundings.
pub(crate) struct World {
    pub(crate) ca: Ca,
    pub(crate) client: Arc<Client>,
    pub(crate) responder: Responder,
    pub(crate) http_port: u16,
    pub(crate) tls_port: u16,
    _ports: [Port; 2],
}

impl World {
    /// Makes a CA with further options of `init` and starts it.
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::start_configured(options, |_| ()).await
    }

    /// The same, with a change of its configuration.
    pub(crate) async fn start_configured(options: &[&str], change: impl FnOnce(&mut toml::Table)) -> Self {
        let mut ca = Ca::init_with(&[], options).await;
        write(&ca.dir().join("policies/wild.yaml"), WILD, 0o644);
        let ports = [Port::take(), Port::take()];
        let [http_port, tls_port] = [ports[0].number(), ports[1].number()];
        ca.configure(|config| {
            let validation = config["validation"].as_table_mut().unwrap();
            validation.insert("http_port".into(), i64::from(http_port).into());
            validation.insert("tls_port".into(), i64::from(tls_port).into());
            validation.insert("allow_networks".into(), vec!["127.0.0.0/8", "::1/128"].into());
            change(config);
        });
        ca.serve().await;
        let client = Client::of(&ca).await;
        let responder = Responder::start(&ports[0], &ports[1]);
        Self { ca, client, responder, http_port, tls_port, _ports: ports }
    }

    /// The one that tests share while any of them uses it.
    pub(crate) async fn shared() -> Arc<Self> {
        static SHARED: tokio::sync::Mutex<Weak<World>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(world) = shared.upgrade() {
            return world;
        }
        let world = Arc::new(Self::start(&["--open-acme", "--network", "169.254.0.0/16"]).await);
        *shared = Arc::downgrade(&world);
        world
    }

    /// A new account.
    pub(crate) async fn account(&self) -> Account {
        Account::register(&self.client).await
    }

    /// An order that waits for challenges.
    pub(crate) async fn order(&self, account: &Account, names: &[&str]) -> Order {
        Order::new(account, &json!({ "identifiers": identifiers(names) })).await
    }

    /// An order whose names are all proven by http-01.
    pub(crate) async fn ready(&self, account: &Account, names: &[&str]) -> Order {
        let order = self.order(account, names).await;
        self.prove(account, &order).await;
        order
    }

    /// Answers every challenge of an order and waits until it is ready.
    pub(crate) async fn prove(&self, account: &Account, order: &Order) {
        for url in order.authorizations() {
            if account.get(&url).await.json()["status"] == "valid" {
                continue;
            }
            let challenge = self.answer(account, &url).await;
            account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        }
        assert_eq!(order.settled(account).await["status"], "ready");
    }

    /// Puts the right answer to the http-01 challenge of an authorization into place.
    pub(crate) async fn answer(&self, account: &Account, authorization: &str) -> Challenge {
        let challenge = Challenge::of(account, authorization).await;
        let right = format!("{}.{}", challenge.token, account.key.thumbprint());
        self.responder.set(&challenge.token, Reply::Body(right));
        challenge
    }

    /// A certificate for these names, and its key.
    pub(crate) async fn issue(&self, account: &Account, names: &[&str]) -> Issued {
        let (order, key) = (self.ready(account, names).await, KeyPair::generate().unwrap());
        let done = order.finalize(account, &csr(names, &key)).await.expect("FIN-1", 200, "").json();
        let url = done["certificate"].as_str().unwrap_or_else(|| panic!("FIN-3: {done:#}")).to_owned();
        let chain = account.get(&url).await.expect("CRT-1", 200, "").text().to_owned();
        Issued { order, key, url, chain }
    }
}

/// A certificate as its holder has it.
pub(crate) struct Issued {
    pub(crate) order: Order,
    pub(crate) key: KeyPair,
    pub(crate) url: String,
    pub(crate) chain: String,
}

impl Issued {
    /// DER of the leaf.
    pub(crate) fn leaf(&self) -> Vec<u8> {
        leaf(&self.chain)
    }
}

/// DER of the first certificate of a chain.
pub(crate) fn leaf(chain: &str) -> Vec<u8> {
    x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap().1.contents
}

/// An order as it was created.
pub(crate) struct Order {
    pub(crate) url: String,
    pub(crate) object: Value,
}

impl Order {
    pub(crate) async fn new(account: &Account, payload: &Value) -> Self {
        let answer = account.post(&account.client.url("newOrder"), payload).await.expect("ORD-1", 201, "");
        Self { url: answer.location(), object: answer.json() }
    }

    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.object["authorizations"].as_array().unwrap().iter().map(|url| url.as_str().unwrap().to_owned()).collect()
    }

    /// The order as it is now.
    pub(crate) async fn read(&self, account: &Account) -> Value {
        account.get(&self.url).await.expect("reading an order", 200, "").json()
    }

    /// The order once it is no longer pending or processing.
    pub(crate) async fn settled(&self, account: &Account) -> Value {
        wait::until("the order to settle", 40, async || {
            let order = self.read(account).await;
            (order["status"] != "pending" && order["status"] != "processing").then_some(order)
        })
        .await
    }

    pub(crate) async fn finalize(&self, account: &Account, csr: &[u8]) -> Answer {
        account.post(self.object["finalize"].as_str().unwrap(), &json!({ "csr": b64(csr) })).await
    }
}

/// A challenge with a token.
pub(crate) struct Challenge {
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Challenge {
    /// The http-01 challenge.
    pub(crate) async fn of(account: &Account, authorization: &str) -> Self {
        Self::of_kind(account, authorization, "http-01").await
    }

    pub(crate) async fn of_kind(account: &Account, authorization: &str, kind: &str) -> Self {
        let object = account.get(authorization).await.expect("reading an authorization", 200, "").json();
        let challenge = object["challenges"].as_array().unwrap().iter().find(|one| one["type"] == kind);
        let challenge = challenge.unwrap_or_else(|| panic!("no {kind}: {object:#}"));
        let text = |name: &str| challenge[name].as_str().unwrap().to_owned();
        Self { url: text("url"), token: text("token") }
    }

    /// The challenge once it is decided.
    pub(crate) async fn decided(&self, account: &Account) -> Value {
        wait::until("the challenge to be decided", 40, async || {
            let challenge = account.get(&self.url).await.expect("reading a challenge", 200, "").json();
            matches!(challenge["status"].as_str(), Some("valid" | "invalid")).then_some(challenge)
        })
        .await
    }
}

/// A name below `localhost` that no other test uses; resolvers know it as 127.0.0.1 without any server (RFC 6761).
pub(crate) fn fresh_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("n{}.localhost", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The `identifiers` of newOrder.
pub(crate) fn identifiers(names: &[&str]) -> Vec<Value> {
    let kind = |name: &str| if name.parse::<std::net::IpAddr>().is_ok() { "ip" } else { "dns" };
    names.iter().map(|name| json!({ "type": kind(name), "value": name })).collect()
}

/// A request for these names, with an empty subject.
pub(crate) fn csr(names: &[&str], key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key).unwrap().der().to_vec()
}

/// Runs openssl in a folder; its standard output.
#[track_caller]
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether openssl verifies a chain up to the root.
#[track_caller]
pub(crate) fn must_verify(ca: &Ca, chain: &str) {
    let folder = Folder::new();
    write(&folder.path().join("chain.pem"), chain, 0o644);
    let roots = ca.roots();
    openssl(folder.path(), &["verify", "-CAfile", roots.to_str().unwrap(), "-untrusted", "chain.pem", "chain.pem"]);
}
