//! Lists over HTTP and in their folder, fetched by curl and served by nginx.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use pki_core::x509::crl::Crl;
use tests::ca::Ca;
use tests::certificate::{hex, sha256};
use tests::http::{Answer, curl};
use tests::nginx::Nginx;
use tests::process::run;
use tests::wait;
use tests::world::enrolled;

use crate::world::{SOON, World, configure, copy_of};

/// Fails when an answer lacks what caches need, or when a list that somebody has already is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn crl_10_curl_gets_what_caches_and_interrupted_downloads_need() {
    let world = World::start(&[]).await;
    world.revoked("superseded").await;
    first_of_its_second(&world).await;
    let url = world.url(&world.complete());
    let whole = curl(&[&url]).await;
    let crl = Crl::parse(&whole.body).unwrap();
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/pkix-crl")));
    assert_eq!(whole.header("content-encoding"), None, "gzip is for those who ask");
    let control = whole.header("cache-control").unwrap();
    let age: u64 = control.split("max-age=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!((1..=60).contains(&age), "a revocation is to be seen soon: {age}");
    assert!(crl.next_update() > crl.this_update());
    known(&url, &whole).await;
    parts(&url, &whole).await;
    packed(&url, &whole).await;
    in_pem(&world, &whole.body).await;
    for wrong in [
        "0.crl",
        "nobody.crl",
        &format!("{}/00.crl", world.ca.issuer_id()),
        &world.shard(7),
        &World::delta(&world.complete()),
    ] {
        assert_eq!(curl(&[&world.url(wrong)]).await.status, 404, "{wrong}");
    }
    assert_eq!(curl(&["-X", "POST", &url]).await.status, 405);
}

/// Waits until the date of the list says which one it is: that of a list which is the second of its second says nothing.
async fn first_of_its_second(world: &World) {
    wait::until_true("a list that is the first of its second", SOON, async || {
        let list = world.list(&world.complete()).await;
        let is_first = i64::try_from(list.number()) == Ok(list.this_update().unix_seconds());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        if !is_first && now > list.number() {
            world.ca.command(&["crl", "publish"]).await.success();
        }
        is_first
    })
    .await;
}

/// Whoever names the tag or the date of the list that is served is not sent it again; HEAD tells the same without it.
async fn known(url: &str, whole: &Answer) {
    let (tag, modified) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
    for known in [
        format!("If-None-Match: {tag}"),
        format!("If-None-Match: \"x\", {tag}"),
        format!("If-Modified-Since: {modified}"),
    ] {
        let again = curl(&["-H", &known, url]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{known}");
    }
    let lines = curl(&["-H", "If-None-Match: \"x\"", "-H", &format!("If-None-Match: {tag}"), url]).await;
    assert_eq!(lines.status, 304, "on the second line");
    for other in ["If-None-Match: \"x\"", "If-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT"] {
        assert_eq!(curl(&["-H", other, url]).await.body, whole.body, "{other}");
    }
    let head = curl(&["-I", url]).await;
    assert_eq!((head.status, head.body.is_empty() || head.body.starts_with(b"HTTP")), (200, true));
    let length = whole.body.len().to_string();
    assert_eq!((head.header("content-length"), head.header("etag")), (Some(length.as_str()), Some(tag)));
}

/// An interrupted download goes on when it is still the same list.
async fn parts(url: &str, whole: &Answer) {
    let (tag, modified) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    let part = curl(&["-r", "10-19", url]).await;
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[10..20]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 10-19/{}", whole.body.len()).as_str()));
    let rest = curl(&["-r", "100-", "-H", &format!("If-Range: {tag}"), url]).await;
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[100..]), "it goes on");
    let other = curl(&["-r", "100-", "-H", "If-Range: \"of the last list\"", url]).await;
    assert_eq!((other.status, &other.body), (200, &whole.body), "and begins anew when it is another list");
    let dated = curl(&["-r", "100-", "-H", &format!("If-Range: {modified}"), url]).await;
    assert_eq!((dated.status, &dated.body), (200, &whole.body), "a date does not say which bytes are held");
    assert_eq!(curl(&["-r", "999999-", url]).await.status, 416);
}

/// gzip is another form with another tag; who holds one of them is told the tag of that one.
async fn packed(url: &str, whole: &Answer) {
    let accept = "Accept-Encoding: gzip";
    let tag = whole.header("etag").unwrap();
    let head = async || curl(&["-I", "-H", accept, url]).await;
    let unmade = head().await;
    let packed = curl(&["-H", accept, url]).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
    assert_ne!(packed.header("etag"), Some(tag), "other bytes");
    let length = packed.body.len().to_string();
    for (head, length) in [(unmade, None), (head().await, Some(length.as_str()))] {
        assert_eq!((head.status, head.header("content-length")), (200, length), "{}", head.head);
        for name in ["etag", "content-encoding"] {
            assert_eq!(head.header(name), packed.header(name), "{name}");
        }
    }
    for known in [tag, packed.header("etag").unwrap()] {
        let again = curl(&["-H", accept, "-H", &format!("If-None-Match: {known}"), url]).await;
        assert_eq!((again.status, again.header("etag")), (304, Some(known)));
    }
    assert_eq!(curl(&["--compressed", url]).await.body, whole.body);
}

/// PEM is made while it is sent; openssl reads the same list in it.
async fn in_pem(world: &World, der: &[u8]) {
    let answer = curl(&[&world.url(&world.complete().replace(".crl", ".pem"))]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-pem-file")));
    assert_eq!(answer.header("accept-ranges"), Some("none"), "ranges of it are not given");
    let file = world.save("list.pem", &answer.body);
    let out = world.folder.path().join("list.der");
    run(Command::new("openssl").args(["crl", "-outform", "DER", "-in"]).arg(file).arg("-out").arg(&out))
        .await
        .success();
    assert_eq!(std::fs::read(out).unwrap(), der);
    let tag = answer.header("etag").unwrap();
    let again =
        curl(&["-H", &format!("If-None-Match: {tag}"), &world.url(&world.complete().replace(".crl", ".pem"))]).await;
    assert_eq!(again.status, 304);
}

/// Fails when a copy differs from what is served, is changed in place, or when a static server cannot serve the folder as
/// it is under the same paths. Fails when a static server, or who got a copy by rsync, may not read what the service wrote with
/// `UMask=0077`.
#[tokio::test(flavor = "multi_thread")]
async fn crl_10_the_folder_is_a_copy_that_any_static_server_can_serve() {
    let mut ca = Ca::init(&[]).await;
    configure(&ca, &[("deltas", true.into())]);
    ca.serve_with_narrow_umask().await;
    let world = World::of(ca).await;
    let delta = World::delta(&world.complete());
    let lists = [world.complete(), delta, world.shard(0), world.of_root()];
    let file = copy_of(&world.ca.dir(), &world.complete());
    let copied = |lists: &[(String, Vec<u8>)]| {
        lists.iter().all(|(list, body)| std::fs::read(copy_of(&world.ca.dir(), list)).is_ok_and(|copy| copy == *body))
    };
    let served = async || {
        let mut served = Vec::new();
        for list in &lists {
            served.push((list.clone(), curl(&[&world.url(list)]).await.body));
        }
        served
    };
    wait::until_true("the copies", SOON, async || copied(&served().await)).await;
    for (name, mode) in [("", 0o755), (&world.ca.issuer_id(), 0o755), ("index.json", 0o644)] {
        assert_eq!(mode_of(&copy_of(&world.ca.dir(), name)), mode, "crl/{name}");
    }
    for list in &lists {
        assert_eq!(mode_of(&copy_of(&world.ca.dir(), list)), 0o644, "{list}");
    }

    let before = std::fs::read(&file).unwrap();
    let mut open = std::fs::File::open(&file).unwrap();
    world.revoked("superseded").await;
    wait::until_true("the new copies", SOON, async || copied(&served().await)).await;
    let mut held = Vec::new();
    open.read_to_end(&mut held).unwrap();
    assert_eq!(held, before, "whoever reads the old one goes on reading it");
    assert_ne!(open.metadata().unwrap().ino(), std::fs::metadata(&file).unwrap().ino(), "it was replaced in one step");
    let beside: Vec<_> =
        std::fs::read_dir(world.ca.dir().join("crl")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(beside.iter().all(|name| !name.to_string_lossy().starts_with('.')), "nothing is left over: {beside:?}");
    index_tells(&world);

    let agent = enrolled(&world.ca, "gw-2", "gateway", &["gw-2.site.test"]).await;
    let mut nginx = Nginx::prepare(&agent.live("identity"));
    let sample = include_str!("../../../deploy/nginx/lists.conf");
    let location = sample.split_once("    location").unwrap().1.rsplit_once('}').unwrap().0;
    let folder = format!("{}/", world.ca.dir().join("crl").display());
    nginx.add(&format!("location{}\n        ", location.replace("/var/lib/pilotlight/crl/", &folder)));
    nginx.run().await;
    for list in &lists {
        let copy = curl(&["-k", &format!("https://{}/crl/{list}", nginx.address())]).await;
        assert_eq!(copy.header("content-type"), Some("application/pkix-crl"), "{list}");
        assert!(copy.header("cache-control").is_some_and(|told| told.contains("max-age=60")), "{list}: {}", copy.head);
        assert_eq!((copy.status, copy.body), (200, curl(&[&world.url(list)]).await.body), "{list}");
    }
    nginx.stop().await;
}

fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// The index says what each file is.
fn index_tells(world: &World) {
    let index = std::fs::read(world.ca.dir().join("crl/index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    for line in index.as_array().unwrap() {
        let bytes = std::fs::read(world.ca.dir().join("crl").join(line["file"].as_str().unwrap())).unwrap();
        let crl = Crl::parse(&bytes).unwrap();
        assert_eq!(
            (line["number"].as_u64(), line["entries"].as_u64()),
            (Some(crl.number()), Some(crl.entry_count() as u64))
        );
        assert_eq!(line["sha256"], hex(&sha256(&bytes)));
    }
}
