//! Random changes of valid requests, for twenty seconds: no answer is a 5xx, nothing panics, and nothing is stored unless the
//! answer is a success. The seed is printed; `PILOTLIGHT_TEST_SEED` repeats a run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Key, b64, sign_text};
use tests::rows::Rows;

use crate::world::{Challenge, Issued, Order, World, csr, fresh_name, identifiers};

/// How long it goes on.
const TIME: Duration = Duration::from_secs(20);

/// What an ACME request may change; jobs come and go by themselves.
const STORED: [&str; 6] = ["account", "acme_order", "acme_authorization", "certificate", "certificate_name", "eab_key"];

/// The valid requests that changes begin with.
#[derive(Debug, Clone, Copy)]
enum Base {
    NewAccount,
    UpdateAccount,
    ReadAccount,
    NewOrder,
    ReadOrder,
    GiveUp,
    Answer,
    Finalize,
    Download,
    Revoke,
    ChangeKey,
}

/// A part of the body that is sent.
#[derive(Debug, Clone, Copy)]
enum Part {
    Protected,
    Payload,
    Signature,
}

/// One change. Those of header and payload happen before the request is signed, the others after it.
#[derive(Debug, Clone)]
enum Change {
    Remove { header: bool, member: Index },
    Retype { header: bool, member: Index, value: Value },
    Duplicate { header: bool, member: Index, value: Value },
    Swap { with: Base },
    Send { to: Base, signed_for_it: bool },
    Path { extra: String },
    Flip { part: Part, at: Index, bits: u8 },
    Lose { part: Part },
    FlipBody { at: Index, bits: u8 },
    Cut { at: Index },
}

fn base() -> impl Strategy<Value = Base> {
    prop_oneof![
        Just(Base::NewAccount),
        Just(Base::UpdateAccount),
        Just(Base::ReadAccount),
        Just(Base::NewOrder),
        Just(Base::ReadOrder),
        Just(Base::GiveUp),
        Just(Base::Answer),
        Just(Base::Finalize),
        Just(Base::Download),
        Just(Base::Revoke),
        Just(Base::ChangeKey),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[A-Za-z0-9_-]{0,80}".prop_map(Value::from),
        vec("[a-z.*:/@]{0,20}", 0..4).prop_map(Value::from),
        Just(json!({})),
        Just(json!([[[]]])),
        Just(json!({ "status": "deactivated" })),
        Just(json!([{ "type": "dns", "value": "*.localhost" }])),
        Just(json!([{ "type": "ip", "value": "::1" }, { "type": "ip", "value": "127.0.0.1" }])),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let part = || prop_oneof![Just(Part::Protected), Just(Part::Payload), Just(Part::Signature)];
    prop_oneof![
        2 => (any::<bool>(), any::<Index>()).prop_map(|(header, member)| Change::Remove { header, member }),
        4 => (any::<bool>(), any::<Index>(), value())
            .prop_map(|(header, member, value)| Change::Retype { header, member, value }),
        2 => (any::<bool>(), any::<Index>(), value())
            .prop_map(|(header, member, value)| Change::Duplicate { header, member, value }),
        2 => base().prop_map(|with| Change::Swap { with }),
        2 => (base(), any::<bool>()).prop_map(|(to, signed_for_it)| Change::Send { to, signed_for_it }),
        1 => "[/?#.%a-f0-9&=-]{1,12}".prop_map(|extra| Change::Path { extra }),
        3 => (part(), any::<Index>(), 1..=255_u8).prop_map(|(part, at, bits)| Change::Flip { part, at, bits }),
        1 => part().prop_map(|part| Change::Lose { part }),
        2 => (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Change::FlipBody { at, bits }),
        1 => any::<Index>().prop_map(|at| Change::Cut { at }),
    ]
}

/// What the requests are about. Whatever succeeds may have used it up, and then it is made anew.
struct Scene {
    account: Account,
    ready: Order,
    pending: Order,
    challenge: Challenge,
    issued: Issued,
    request: Vec<u8>,
    next: Key,
}

impl Scene {
    async fn set(world: &World) -> Self {
        let (account, name) = (world.account().await, fresh_name());
        let ready = world.ready(&account, &[&name]).await;
        let issued = world.issue(&account, &[&name]).await;
        let pending = world.order(&account, &[&fresh_name()]).await;
        let challenge = world.answer(&account, &pending.authorizations()[0]).await;
        let request = csr(&[&name], &KeyPair::generate().unwrap());
        Self { account, ready, pending, challenge, issued, request, next: Key::new() }
    }

    fn url(&self, base: Base) -> String {
        let of = |resource| self.account.client.url(resource);
        match base {
            Base::NewAccount => of("newAccount"),
            Base::UpdateAccount | Base::ReadAccount => self.account.url.clone(),
            Base::NewOrder => of("newOrder"),
            Base::ReadOrder => self.ready.url.clone(),
            Base::GiveUp => self.pending.authorizations()[0].clone(),
            Base::Answer => self.challenge.url.clone(),
            Base::Finalize => self.ready.object["finalize"].as_str().unwrap().to_owned(),
            Base::Download => self.issued.url.clone(),
            Base::Revoke => of("revokeCert"),
            Base::ChangeKey => of("keyChange"),
        }
    }

    fn payload(&self, base: Base) -> String {
        let payload = match base {
            Base::ReadAccount | Base::ReadOrder | Base::Download => return String::new(),
            Base::NewAccount => json!({ "contact": ["mailto:a@site.test"], "termsOfServiceAgreed": true }),
            Base::UpdateAccount => json!({ "contact": ["mailto:b@site.test"] }),
            Base::NewOrder => json!({
                "identifiers": identifiers(&["x.localhost", "127.0.0.1"]), "profile": "server",
                "notAfter": "2099-01-01T00:00:00Z",
            }),
            Base::GiveUp => json!({ "status": "deactivated" }),
            Base::Answer => json!({}),
            Base::Finalize => json!({ "csr": b64(&self.request) }),
            Base::Revoke => json!({ "certificate": b64(self.issued.leaf()), "reason": 4 }),
            Base::ChangeKey => self.inner(),
        };
        payload.to_string()
    }

    fn inner(&self) -> Value {
        let header = json!({ "alg": "ES256", "jwk": self.next.jwk(), "url": self.account.client.url("keyChange") });
        let payload = json!({ "account": self.account.url, "oldKey": self.account.key.jwk() });
        sign_text(&header.to_string(), &payload.to_string(), &self.next)
    }

    /// Sends a changed request.
    async fn send(&self, base: Base, changes: &[Change]) -> Answer {
        let (client, mut to, mut url) = (&self.account.client, self.url(base), self.url(base));
        let mut payload = self.payload(base);
        let mut header = match base {
            Base::NewAccount => json!({ "jwk": self.next.jwk() }),
            _ => json!({ "kid": self.account.url }),
        };
        for change in changes {
            match change {
                Change::Swap { with } => payload = self.payload(*with),
                Change::Send { to: other, signed_for_it } => {
                    to = self.url(*other);
                    if *signed_for_it {
                        url.clone_from(&to);
                    }
                }
                Change::Path { extra } => {
                    to += extra;
                    url.clone_from(&to);
                }
                _ => {}
            }
        }
        header["alg"] = "ES256".into();
        header["nonce"] = client.nonce().await.into();
        header["url"] = url.into();
        let mut header = header.to_string();
        changes.iter().for_each(|change| before_signing(change, &mut header, &mut payload));
        let key = if matches!(base, Base::NewAccount) { &self.next } else { &self.account.key };
        let mut body = sign_text(&header, &payload, key);
        changes.iter().for_each(|change| after_signing(change, &mut body));
        let mut bytes = body.to_string().into_bytes();
        for change in changes {
            match change {
                Change::FlipBody { at, bits } if !bytes.is_empty() => {
                    let at = at.index(bytes.len());
                    bytes[at] ^= bits;
                }
                Change::Cut { at } => bytes.truncate(at.index(bytes.len() + 1)),
                _ => {}
            }
        }
        client.post_bytes(&to, &bytes).await
    }
}

/// Changes of members, of a text that is an object.
fn before_signing(change: &Change, header: &mut String, payload: &mut String) {
    let (in_header, member) = match change {
        Change::Remove { header, member }
        | Change::Retype { header, member, .. }
        | Change::Duplicate { header, member, .. } => (*header, member),
        _ => return,
    };
    let text = if in_header { header } else { payload };
    let Ok(Value::Object(mut members)) = serde_json::from_str(text) else { return };
    if members.is_empty() {
        return;
    }
    let name = members.keys().nth(member.index(members.len())).unwrap().clone();
    match change {
        Change::Retype { value, .. } => drop(members.insert(name, value.clone())),
        Change::Duplicate { value, .. } => {
            let whole = Value::Object(members).to_string();
            *text = format!("{{{}:{value},{}", Value::from(name), &whole[1..]);
            return;
        }
        _ => drop(members.remove(&name)),
    }
    *text = Value::Object(members).to_string();
}

fn after_signing(change: &Change, body: &mut Value) {
    let name = |part: &Part| match part {
        Part::Protected => "protected",
        Part::Payload => "payload",
        Part::Signature => "signature",
    };
    match change {
        Change::Lose { part } => drop(body.as_object_mut().unwrap().remove(name(part))),
        Change::Flip { part, at, bits } => {
            let Some(text) = body[name(part)].as_str() else { return };
            let mut bytes = text.as_bytes().to_vec();
            if bytes.is_empty() {
                return;
            }
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
            body[name(part)] = String::from_utf8_lossy(&bytes).into_owned().into();
        }
        _ => {}
    }
}

/// Everything that changes as requests go on: the scene, and what is stored.
struct Stage {
    world: World,
    scene: Scene,
    rows: Rows,
    stored: BTreeMap<&'static str, String>,
    sent: usize,
    successes: usize,
}

impl Stage {
    async fn set() -> Self {
        let world = World::start(&["--open-acme"]).await;
        let mut rows = Rows::of(&world.ca.dir());
        let before = rows.look(&STORED);
        let scene = Scene::set(&world).await;
        let stored = rows.look(&STORED);
        STORED[..5].iter().for_each(|table| assert_ne!(before[table], stored[table], "{table}: changes are not seen"));
        Self { world, scene, rows, stored, sent: 0, successes: 0 }
    }

    async fn act(&mut self, base: Base, changes: &[Change]) -> Result<(), TestCaseError> {
        let answer = self.scene.send(base, changes).await;
        self.sent += 1;
        if answer.status >= 500 {
            return Err(TestCaseError::fail(format!("{answer}")));
        }
        if answer.status < 300 {
            self.successes += 1;
            self.begin_anew().await;
            return Ok(());
        }
        let now = self.rows.look(&STORED);
        if now != self.stored {
            return Err(TestCaseError::fail(format!("stored, and refused: {answer}\n{:#?}\n{now:#?}", self.stored)));
        }
        Ok(())
    }

    /// A challenge that was answered changes things later: first it has to be decided.
    async fn begin_anew(&mut self) {
        let challenge = self.scene.account.get(&self.scene.challenge.url).await;
        if challenge.status == 200 && challenge.json()["status"] == "processing" {
            self.scene.challenge.decided(&self.scene.account).await;
        }
        self.scene = Scene::set(&self.world).await;
        self.stored = self.rows.look(&STORED);
    }
}

#[test]
fn p3_2_changed_requests_break_nothing() {
    let seed = std::env::var("PILOTLIGHT_TEST_SEED").unwrap_or_else(|_| Key::new().thumbprint());
    println!("PILOTLIGHT_TEST_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let stage = RefCell::new(runtime.block_on(Stage::set()));
    let config = Config { cases: 32, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &tests::certificate::sha256(seed.as_bytes()));
    let mut seeds = TestRunner::new_with_rng(config.clone(), rng);
    let end = Instant::now() + TIME;
    while Instant::now() < end {
        let act = |(base, changes): (Base, Vec<Change>)| runtime.block_on(stage.borrow_mut().act(base, &changes));
        let mut runner = TestRunner::new_with_rng(config.clone(), seeds.new_rng());
        runner.run(&(base(), vec(change(), 1..4)), act).unwrap_or_else(|error| panic!("{error}\nseed {seed}"));
    }
    let stage = stage.into_inner();
    assert!(!stage.world.ca.log().contains("panicked"), "seed {seed}: {}", stage.world.ca.log());
    println!("{} requests, of which {} succeeded", stage.sent, stage.successes);
    assert!(stage.sent >= 32 && stage.successes < stage.sent, "seed {seed}: {} {}", stage.sent, stage.successes);
}
