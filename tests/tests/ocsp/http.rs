//! How answers travel: forms of a GET, what caches are told, what is kept and forgotten.

use pki_core::x509::ocsp::Status;
use tests::certificate::{hex, sha256};
use tests::http::{ask, curl};

use crate::world::{OcspAnswer, World, base64, nonce, post, request};

/// OCS-3: fails when a form of the path that some client or proxy writes is read as something else. The nonces make
/// base64 with `+`, `/` and `//` in it, and the answer shows that every octet arrived.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_3_every_form_of_a_get_is_understood() {
    let world = World::start().await;
    let address = world.ca.public_address();
    for octets in [&[0xff; 31][..], &[0xfb, 0xef, 0xbe, 0xfb, 0xef, 0xbe], &[7; 16], &[7; 17], &[7; 18]] {
        let question = request(&[world.id(&world.serial())], &[nonce(octets)]);
        let plain = base64(&question);
        let escaped = plain.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let lower = plain.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d");
        let url_safe = plain.replace('+', "-").replace('/', "_");
        let bare = plain.trim_end_matches('=').to_owned();
        let forms = [
            format!("/ocsp/{plain}"),
            format!("/ocsp//{plain}"),
            format!("//ocsp/{plain}"),
            format!("/ocsp/{escaped}"),
            format!("/ocsp/{lower}"),
            format!("/ocsp/{url_safe}"),
            format!("/ocsp/{bare}"),
            format!("/ocsp///{}", url_safe.trim_end_matches('=')),
            format!("http://{address}/ocsp/{plain}"),
        ];
        for path in forms {
            let answer = ask(&address, &format!("GET {path}"), "", &[]).await.read();
            let expected = [&[4, u8::try_from(octets.len()).unwrap()][..], octets].concat();
            assert_eq!(answer.nonce(), Some(&expected[..]), "{path}");
            assert_eq!(answer.told()[0].status, Status::Good, "{path}");
        }
    }
    let slashes = base64(&request(&[world.id(&world.serial())], &[nonce(&[0xff; 31])]));
    assert!(slashes.contains("//"), "{slashes}");
}

/// curl asks as a script would.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_1_and_3_curl_gets_what_it_posts() {
    let world = World::start().await;
    let question = request(&[world.id(&world.serial())], &[]);
    let data = format!("@{}", world.save("request", &question).display());
    let header = "Content-Type: application/ocsp-request";
    let posted = curl(&["--data-binary", &data, "-H", header, &world.url()]).await;
    let got = curl(&["--path-as-is", &format!("{}/{}", world.url(), base64(&question))]).await;
    assert_eq!((posted.status, got.status), (200, 200), "{posted:?}");
    assert_eq!(got.body, posted.body, "one answer, kept");
    let without = curl(&["--data-binary", &data, "-H", "Content-Type:", &world.url()]).await;
    assert_eq!((without.status, without.body), (200, posted.body), "a POST without a type");
}

/// OCS-10: fails when an answer that may be kept does not say until when, when whoever has it is sent it again, or when caches
/// may keep what is for one client only.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_10_caches_are_told_what_they_may_keep() {
    let world = World::start().await;
    let question = request(&[world.id(&world.serial())], &[]);
    let first = world.get(&question).await;
    let (read, tag) = (first.read(), first.header("etag").unwrap());
    assert_eq!(tag, format!("\"{}\"", hex(&sha256(&first.body))));
    let control = first.header("cache-control").unwrap();
    assert!(control.ends_with(", public, no-transform, must-revalidate"), "{control}");
    let max_age: u64 = control.strip_prefix("max-age=").unwrap().split(',').next().unwrap().parse().unwrap();
    let life = read.told()[0].next_update.unwrap().since(read.produced_at()).as_secs();
    assert!(max_age > 0 && max_age < life, "{max_age} of {life}");
    for name in ["last-modified", "expires", "date"] {
        assert!(first.header(name).unwrap().ends_with(" GMT"), "{name}");
    }
    let (address, line) = (world.ca.public_address(), format!("GET /ocsp/{}", base64(&question)));
    let modified = first.header("last-modified").unwrap();
    for (condition, status) in [
        (format!("If-None-Match: {tag}"), 304),
        (format!("If-None-Match: \"x\", W/{tag}"), 304),
        ("If-None-Match: *".to_owned(), 304),
        ("If-None-Match: \"x\"".to_owned(), 200),
        (format!("If-Modified-Since: {modified}"), 304),
        ("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT".to_owned(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}"), 200),
    ] {
        let answer = ask(&address, &line, &format!("{condition}\r\n"), &[]).await;
        assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{condition}");
        assert_eq!(answer.header("etag"), Some(tag), "{condition}");
    }
    let head = ask(&address, &line.replace("GET", "HEAD"), "", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(first.body.len().to_string().as_str()));
    assert_eq!(ask(&address, "DELETE /ocsp", "", &[]).await.status, 405);

    for (what, question) in [
        ("unknown", request(&[world.id(&[1])], &[])),
        ("with a nonce", request(&[world.id(&world.serial())], &[nonce(&[1; 32])])),
    ] {
        let answer = world.get(&question).await;
        answer.read();
        assert!(answer.header("cache-control").unwrap().contains("no-store"), "{what}: {answer:?}");
        assert_eq!((answer.header("etag"), answer.header("expires")), (None, None), "{what}");
    }
}

/// OCS-10: fails when whoever holds `good` of the same second is told by its date that nothing changed, and when tags on
/// the second line are not read, of what is kept and of what is signed while the client waits.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_10_no_date_hides_a_revocation_and_tags_may_stand_on_several_lines() {
    let world = World::start().await;
    let question = request(&[world.id(&world.serial())], &[]);
    let (address, line) = (world.ca.public_address(), format!("GET /ocsp/{}", base64(&question)));
    let good = world.get(&question).await;
    let conditions = format!("If-None-Match: \"x\"\r\nIf-None-Match: {}\r\n", good.header("etag").unwrap());
    assert_eq!(ask(&address, &line, &conditions, &[]).await.status, 304, "kept");
    world.revoke("superseded").await;
    let conditions = "If-None-Match: \"x\"\r\nIf-None-Match: *\r\n";
    assert_eq!(ask(&address, &line, conditions, &[]).await.status, 304, "signed for whoever asks");
    let revoked = world.get(&question).await;
    let modified = format!("If-Modified-Since: {}\r\n", revoked.header("last-modified").unwrap());
    let again = ask(&address, &line, &modified, &[]).await;
    assert_eq!((again.status, again.body), (200, revoked.body.clone()), "it may be the date of a `good`");
    let tag = format!("If-None-Match: {}\r\n{modified}", revoked.header("etag").unwrap());
    assert_eq!(ask(&address, &line, &tag, &[]).await.status, 304);
}

/// OCS-12: fails when an answer from before a revocation is given after it.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_12_an_answer_is_kept_until_the_certificate_is_revoked() {
    let world = World::start().await;
    let question = request(&[world.id(&world.serial())], &[]);
    let first = world.get(&question).await;
    assert_eq!(world.get(&question).await.body, first.body, "kept");
    assert_eq!(first.read().told()[0].status, Status::Good);
    world.revoke("superseded").await;
    let after = world.get(&question).await;
    assert!(matches!(after.read().told()[0].status, Status::Revoked { .. }), "{after:?}");
    assert_eq!(world.get(&question).await.body, after.body, "kept again");
    let metrics = tests::ca::plain_get(&world.ca.operations_address(), "/metrics").await.unwrap();
    for line in [
        "pilotlight_ocsp_answers_total{status=\"good\"} 2",
        "pilotlight_ocsp_answers_total{status=\"revoked\"} 2",
        "pilotlight_ocsp_kept_answers 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// Fails when those who wait for one signature are counted as one, a question about several as anything but several, or what is
/// no question, in whatever way, as nothing.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_is_told_something_is_counted() {
    let world = World::start().await;
    let told = async |status: &str| {
        world.ca.metric(&format!("pilotlight_ocsp_answers_total{{status=\"{status}\"}}")).await.expect(status)
    };
    let before = told("unknown").await;
    let question = request(&[world.id(&[7])], &[]);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (address, question) = (world.ca.public_address(), question.clone());
        asking.spawn(async move { post(&address, &question).await.read() });
    }
    assert_eq!(asking.join_all().await.len(), 64);
    assert_eq!(told("unknown").await, before + 64.0);
    world.post(&request(&[world.id(&[8]), world.id(&[9]), world.id(&[10])], &[])).await.read();
    assert_eq!(told("unknown").await, before + 67.0);

    let (address, before) = (world.ca.public_address(), told("malformed_request").await);
    let html = "Content-Type: text/html\r\nContent-Length: 0\r\n";
    let none = [("GET /ocsp", ""), ("HEAD /ocsp", ""), ("GET /ocsp/", ""), ("GET /ocsp/a", ""), ("POST /ocsp", html)];
    for (refused, (line, head)) in (1_u8..).zip(none) {
        assert_eq!(ask(&address, line, head, &[]).await.status, 200, "{line}");
        assert_eq!(told("malformed_request").await, before + f64::from(refused), "{line}");
    }
}
