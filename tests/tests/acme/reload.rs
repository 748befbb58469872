//! The policy is changed while clients order: by a ConfigMap's symlink, and by a file that nobody can have meant.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Client};
use tests::ca::{Ca, plain_get};
use tests::certificate::{Leaf, sha256};
use tests::external_account::External;
use tests::wait;
use tokio::task::JoinHandle;

use crate::limits::{metric, metrics, operations};
use crate::world::{csr, identifiers, leaf};

const DAY: i64 = 86_400;

/// A profile for devices with names in these zones.
fn profile(name: &str, zones: &[&str], days: i64) -> String {
    let zones: Vec<String> = zones.iter().map(|zone| format!("{{ suffix: \"{zone}.site.test\" }}")).collect();
    format!(
        "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: {{ name: {name} }}\nspec:\n  identifiers: {{ dns: [{}] }}\n\
         \x20 usage: {{ extendedKeyUsage: [serverAuth] }}\n  lifetime: {days}d\n  backdate: 0s\n\
         \x20 renewal: {{ at: 0.5, grace: 1d }}\n  requires: {{ binding: device }}\n",
        zones.join(", ")
    )
}

/// Both profiles say the same: one zone and one life. Half of this and half of another policy would be seen.
fn both(zones: &[&str], days: i64) -> Vec<(String, String)> {
    ["one", "two"].map(|name| (format!("{name}.yaml"), profile(name, zones, days))).to_vec()
}

/// Further profiles, as large as a ConfigMap may be together, so that a look takes a while.
fn fillers(days: i64) -> Vec<(String, String)> {
    let filler = |number| format!("{}#{}\n", profile(&format!("f{number}"), &["c"], days), "-".repeat(10_000));
    (0..90).map(|number| (format!("f{number}.yaml"), filler(number))).collect()
}

/// A folder as kubelet mounts a ConfigMap.
struct Mount {
    folder: PathBuf,
    copies: PathBuf,
    turns: usize,
}

impl Mount {
    fn new(folder: &Path, files: &[(String, String)]) -> Self {
        let copies = folder.with_extension("copies");
        [folder, &copies].iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let mut mount = Self { folder: folder.to_owned(), copies, turns: 0 };
        mount.turn(files);
        files.iter().for_each(|(name, _)| symlink(Path::new("..data").join(name), folder.join(name)).unwrap());
        mount
    }

    /// A new folder, the symlink turned to it, the old folder deleted: what kubelet does, in its order.
    fn turn(&mut self, files: &[(String, String)]) {
        self.turns += 1;
        let (name, beside) = (format!("..2026_{}", self.turns), self.folder.join("..data_tmp"));
        fs::create_dir(self.folder.join(&name)).unwrap();
        for (file, content) in files {
            // links to one copy: the turns come so fast that most looks meet one
            let copy = self.copies.join(tests::acme_raw::b64(sha256(content.as_bytes())));
            if !copy.exists() {
                fs::write(&copy, content).unwrap();
            }
            fs::hard_link(copy, self.folder.join(&name).join(file)).unwrap();
        }
        let old = fs::read_link(self.folder.join("..data")).ok();
        symlink(name, &beside).unwrap();
        fs::rename(beside, self.folder.join("..data")).unwrap();
        old.into_iter().for_each(|old| fs::remove_dir_all(self.folder.join(old)).unwrap());
    }
}

/// Clients that order for two devices, one name after the other, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    issued: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Two clients a device; each account has names in the zones a and b.
    async fn start(ca: &Ca) -> Self {
        let client = Client::of(ca).await;
        let (stop, issued) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = Vec::new();
        for profile in ["one", "two"] {
            let names = ["a", "b"].map(|zone| format!("{profile}.{zone}.site.test"));
            let token = ca.device_add(profile, profile, &[&names[0], &names[1]]).await;
            let account = Arc::new(External::of_token(&token).account(&client).await);
            for _ in 0..2 {
                let (account, names, stop, issued) =
                    (Arc::clone(&account), names.clone(), Arc::clone(&stop), Arc::clone(&issued));
                clients.push(tokio::spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        for name in &names {
                            issued.fetch_add(usize::from(order(&account, name).await), Ordering::SeqCst);
                        }
                    }
                }));
            }
        }
        Self { stop, issued, clients }
    }

    /// Waits until so many more certificates were issued.
    async fn issues(&self, more: usize) {
        let before = self.issued.load(Ordering::SeqCst);
        wait::until_true("certificates", 60, async || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client has failed");
            self.issued.load(Ordering::SeqCst) >= before + more
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

/// Orders a certificate for one name. Nothing may go wrong but that the policy does not allow it; then the answer is false.
async fn order(account: &Account, name: &str) -> bool {
    let may_be_refused = |answer: &tests::acme_raw::Answer| answer.problem() == "rejectedIdentifier";
    let payload = json!({ "identifiers": identifiers(&[name]) });
    let order = account.post(&account.client.url("newOrder"), &payload).await;
    if may_be_refused(&order) {
        return false;
    }
    let order = order.expect("newOrder", 201, "").json();
    let request = tests::acme_raw::b64(csr(&[name], &KeyPair::generate().unwrap()));
    let done = account.post(order["finalize"].as_str().unwrap(), &json!({ "csr": request })).await;
    if may_be_refused(&done) {
        return false;
    }
    let url = done.location();
    // a machine that is busy elsewhere may take longer to sign than a request waits
    let mut order = done.expect("finalize", 200, "").json();
    while order["status"] == "processing" {
        order = account.get(&url).await.expect("the order", 200, "").json();
    }
    let certificate = order["certificate"].as_str().unwrap_or_else(|| panic!("{order:#}"));
    let chain = account.get(certificate).await.expect("download", 200, "").text().to_owned();
    let (leaf, zone) = (Leaf::from_der(&leaf(&chain)), name.split('.').nth(1).unwrap());
    let life = (leaf.not_after - leaf.not_before + 1) / DAY;
    let expected: &[i64] = if zone == "a" { &[5, 10] } else { &[5, 20] };
    assert!(expected.contains(&life), "{name} for {life} days: the zone of one policy and the life of another");
    true
}

async fn revision(ca: &Ca) -> String {
    ca.json(&["status"]).await["policyRevision"].as_str().unwrap().to_owned()
}

/// The audit events about policies with this action.
async fn events(ca: &Ca, action: &str) -> Vec<Value> {
    let all = ca.json(&["audit", "list", "--limit", "100000"]).await;
    all.as_array().unwrap().iter().filter(|event| event["action"] == action).cloned().collect()
}

async fn until_in_force(ca: &Ca, commit: &str) {
    let label = format!("commit=\"{commit}\"}} 1");
    wait::until_true(commit, 60, async || metrics(ca).await.contains(&label)).await;
}

/// Fails when a certificate was decided by the zones of one policy and the life of another, or under a policy that never
/// was: a look that got files of two folders has a revision of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configmap_is_turned_under_load_and_nobody_is_served_by_half_a_policy() {
    let mut ca = Ca::init(&[]).await;
    let with = |zones: &[&str], days, commit: &str| {
        let revision = ("REVISION".to_owned(), format!("{commit}\n"));
        [both(zones, days), fillers(days), vec![revision]].concat()
    };
    let (first, a, b) = (with(&["a", "b"], 5, "c-first"), with(&["a"], 10, "c-a"), with(&["b"], 20, "c-b"));
    let folder = ca.dir().join("mounted");
    let mut mount = Mount::new(&folder, &first);
    ca.configure(|config| {
        let policies = config["policies"].as_table_mut().unwrap();
        policies.insert("folder".into(), folder.to_str().unwrap().into());
        policies.insert("watch".into(), true.into());
        policies.insert("watch_seconds".into(), 1.into());
    });
    ca.serve().await;
    until_in_force(&ca, "c-first").await;
    let load = Load::start(&ca).await;
    let mut known = vec![(revision(&ca).await, "c-first", "", 5)];
    for (files, commit, zone, days) in [(&a, "c-a", "a", 10), (&b, "c-b", "b", 20)] {
        mount.turn(files);
        until_in_force(&ca, commit).await;
        known.push((revision(&ca).await, commit, zone, days));
        load.issues(5).await;
    }
    for (files, commit) in [(&a, "c-a"), (&b, "c-b")].repeat(3) {
        mount = turn_while_it_looks(&ca, mount, [a.clone(), b.clone()]).await;
        mount.turn(files);
        until_in_force(&ca, commit).await;
        load.issues(3).await;
    }
    load.end().await;
    must_be_of_whole_policies(&ca, &known).await;
}

/// Turns from one content to the other without rest until several looks have ended, each told to begin meanwhile.
async fn turn_while_it_looks(ca: &Ca, mut mount: Mount, contents: [Vec<(String, String)>; 2]) -> Mount {
    let looks = async || {
        let metrics = metrics(ca).await;
        let of = |outcome| metric(&metrics, &format!("pilotlight_policy_looks_total{{outcome=\"{outcome}\"}}"));
        of("loaded") + of("unchanged") + of("failed")
    };
    let (before, is_over) = (looks().await, Arc::new(AtomicBool::new(false)));
    let turner = tokio::task::spawn_blocking({
        let is_over = Arc::clone(&is_over);
        move || {
            while !is_over.load(Ordering::SeqCst) {
                contents.iter().for_each(|content| mount.turn(content));
            }
            mount
        }
    });
    wait::until_true("looks", 60, async || {
        ca.signal(Signal::SIGHUP);
        looks().await >= before + 6
    })
    .await;
    is_over.store(true, Ordering::SeqCst);
    turner.await.unwrap()
}

async fn must_be_of_whole_policies(ca: &Ca, known: &[(String, &str, &str, i64)]) {
    let certificates = ca.certificates().await;
    let mut seen = BTreeSet::new();
    for certificate in &certificates {
        let of = |(revision, ..): &&(String, &str, &str, i64)| certificate["policyRevision"] == *revision;
        let (_, commit, zone, _) = known.iter().find(of).unwrap_or_else(|| panic!("of no policy: {certificate:#}"));
        assert_eq!(certificate["policyCommit"], **commit, "{certificate:#}");
        let name = certificate["identifiers"][0]["value"].as_str().unwrap();
        assert!(zone.is_empty() || name.contains(&format!(".{zone}.site.test")), "{certificate:#}");
        seen.insert(*commit);
    }
    assert_eq!(seen.len(), known.len(), "certificates of every policy: {seen:?}");
    for event in events(ca, "policy.load").await {
        let of = |(revision, commit, ..): &(String, &str, &str, i64)| {
            event["details"]["revision"] == *revision && event["details"]["commit"] == **commit
        };
        assert!(known.iter().any(of), "{event:#}");
    }
    let refused = events(ca, "policy.refuse").await;
    assert!(refused.is_empty(), "{refused:#?}");
    let plans = events(ca, "certificate.plan").await;
    let told = plans
        .iter()
        .filter(|event| event["details"]["policy"] == known[1].0 && event["details"]["policy_commit"] == "c-a");
    assert!(told.count() > 0, "the audit log tells the policy of a certificate");
}

/// Fails when a fault takes anything from clients, when readiness goes, when nobody is told, or when the audit log is told
/// at every look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_under_load_is_told_and_changes_nothing() {
    let mut ca = Ca::init(&[]).await;
    let folder = ca.dir().join("policies");
    fs::read_dir(&folder).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
    both(&["a", "b"], 5).into_iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
    ca.configure(|config| {
        let policies = config["policies"].as_table_mut().unwrap();
        policies.insert("watch".into(), true.into());
        policies.insert("watch_seconds".into(), 1.into());
    });
    ca.serve().await;
    let (load, before) = (Load::start(&ca).await, revision(&ca).await);
    let ready = async || plain_get(&operations(&ca), "/readyz").await.unwrap();
    load.issues(3).await;

    let broken = folder.join("broken.yaml");
    fs::write(&broken, "apiVersion: pilotlight.dev/v1\nkind: Profil\n").unwrap();
    wait::until_true("three looks at it", 60, async || {
        metric(&metrics(&ca).await, "pilotlight_policy_looks_total{outcome=\"failed\"}") >= 3
    })
    .await;
    load.issues(5).await;
    assert_eq!(metric(&metrics(&ca).await, "pilotlight_policy_reload_failed"), 1);
    let told = ready().await;
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("\nready\n"), "{told}");
    assert!(told.contains("\npolicy: the files are broken since"), "{told}");
    assert!(told.contains("policies/broken.yaml: ") && told.contains(&before), "{told}");
    let status = ca.json(&["status"]).await;
    assert_eq!(status["policyRevision"], *before);
    let failure = &status["policy"]["lastFailure"];
    assert!(failure["message"].as_str().unwrap().contains("broken.yaml") && failure["over"].is_null(), "{status:#}");
    let sheet = ca.command(&["status"]).await.success();
    assert!(
        sheet.contains("policy files broken") && sheet.contains("still") && sheet.contains("broken.yaml"),
        "{sheet}"
    );
    assert_eq!(events(&ca, "policy.refuse").await.len(), 1, "once, however often it is looked at");
    ca.signal(Signal::SIGHUP);

    fs::write(&broken, "\u{feff}\tx: [").unwrap();
    wait::until_true("another fault", 60, async || events(&ca, "policy.refuse").await.len() == 2).await;
    fs::remove_file(&broken).unwrap();
    wait::until_true("the fault to be over", 60, async || {
        metric(&metrics(&ca).await, "pilotlight_policy_reload_failed") == 0
    })
    .await;
    let told = ready().await;
    assert!(told.contains("\r\n\r\nready\n") && !told.contains("policy:"), "{told}");
    let status = ca.json(&["status"]).await;
    assert!(status["policy"]["lastFailure"]["over"].is_string(), "{status:#}");
    assert_eq!(revision(&ca).await, before);
    load.issues(3).await;
    load.end().await;
    let certificates = ca.certificates().await;
    assert!(certificates.iter().all(|certificate| certificate["policyRevision"] == *before), "{certificates:#?}");
}

/// Fails when a certificate does not tell its policy, or when every start is told as a change of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_tells_the_policy_and_the_commit_it_was_issued_under() {
    let mut ca = Ca::init(&[]).await;
    let folder = ca.dir().join("policies");
    both(&["a", "b"], 5).into_iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
    ca.serve().await;
    let client = Client::of(&ca).await;
    let token = ca.device_add("one", "one", &["one.a.site.test"]).await;
    let account = External::of_token(&token).account(&client).await;
    let known = async || {
        let newest = ca.certificates().await.pop().unwrap();
        ca.command(&["cert", "show", newest["serial"].as_str().unwrap()]).await.success()
    };
    assert!(order(&account, "one.a.site.test").await);
    let sheet = known().await;
    let told = format!("policy         {}\n", revision(&ca).await);
    assert!(sheet.contains(&told) && !sheet.contains("policy commit"), "{sheet}");
    fs::write(folder.join("REVISION"), "8f14e45fceea167a5a36dedd4bea2543a1b2c3d4\n").unwrap();
    ca.signal(Signal::SIGHUP);
    until_in_force(&ca, "8f14e45fceea167a5a36dedd4bea2543a1b2c3d4").await;
    assert!(order(&account, "one.a.site.test").await);
    let sheet = known().await;
    assert!(sheet.contains(&told) && sheet.contains("policy commit  8f14e45f"), "{sheet}");
    let loaded = events(&ca, "policy.load").await;
    assert_eq!(loaded.len(), 2, "{loaded:#?}");
    assert_eq!((&loaded[0]["details"]["by"], &loaded[1]["details"]["by"]), (&json!("start"), &json!("reload")));
    ca.restart().await;
    assert_eq!(events(&ca, "policy.load").await, loaded, "a start with the same policy is no change of it");
}
