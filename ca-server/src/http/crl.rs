//! Revocation lists for relying parties (RFC 5280 section 4.2.1.13, RFC 2585 section 4; CRL-10): from memory, over plain
//! HTTP, with what caches and interrupted downloads need.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    LAST_MODIFIED, RANGE, VARY,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pki_core::ids::IssuerId;
use pki_core::time::Timestamp;
use pki_core::x509::crl::Crl;
use pki_core::x509::pem;

use super::extract::Segment;
use super::{Http, HttpError, conditions};
use crate::flows::crl::{self, CrlRecord, Published};

/// The longest that caches keep a list: a revocation is to be seen soon.
const FRESH: Duration = Duration::from_secs(60);

/// What is compressed, once a list: longer ones go as they are.
const MOST: usize = 16 * 1024 * 1024;

/// The number of the last revocation that a list covers: whoever waits for one need not read the list to know.
const COVERS: HeaderName = HeaderName::from_static("pilotlight-covers");

/// The routes of lists.
pub(super) fn router() -> Router<Arc<Http>> {
    Router::new().route("/crl/{file}", get(complete)).route("/crl/{issuer}/{file}", get(shard))
}

async fn complete(
    State(http): State<Arc<Http>>,
    Segment(file): Segment,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let (name, wish) = Wish::read(&file).ok_or_else(unknown)?;
    let issuer: IssuerId = name.parse().map_err(|_| unknown())?;
    let list = crl::published(&http.ctx, issuer, None).ok_or_else(unknown)?;
    show(&http, &list, wish, (&method, &headers)).await
}

async fn shard(
    State(http): State<Arc<Http>>,
    path: Result<Path<(String, String)>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let Ok(Path((of, file))) = path else { return Err(unknown()) };
    let (name, wish) = Wish::read(&file).ok_or_else(unknown)?;
    let issuer: IssuerId = of.parse().map_err(|_| unknown())?;
    let number: u32 = name.parse().map_err(|_| unknown())?;
    // one address a list: no `007`
    if number.to_string() != name {
        return Err(unknown());
    }
    let list = crl::published(&http.ctx, issuer, Some(number)).ok_or_else(unknown)?;
    show(&http, &list, wish, (&method, &headers)).await
}

fn unknown() -> HttpError {
    HttpError::not_found("revocation list")
}

/// Which form of a list an address means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    is_delta: bool,
    is_pem: bool,
}

impl Wish {
    /// `NAME.crl`, `NAME-delta.crl`, and the same with `.pem`.
    fn read(file: &str) -> Option<(&str, Self)> {
        let (stem, is_pem) = match file.strip_suffix(".crl") {
            Some(stem) => (stem, false),
            None => (file.strip_suffix(".pem")?, true),
        };
        Some(match stem.strip_suffix("-delta") {
            Some(name) => (name, Self { is_delta: true, is_pem }),
            None => (stem, Self { is_delta: false, is_pem }),
        })
    }
}

async fn show(
    http: &Http,
    list: &Arc<Published>,
    wish: Wish,
    (method, headers): (&Method, &HeaderMap),
) -> Result<Response, HttpError> {
    let (crl, hash) = match (&list.delta, wish.is_delta) {
        (_, false) => (&list.full, &list.sha256),
        (Some(delta), true) => (delta, &list.delta_sha256),
        (None, true) => return Err(unknown()),
    };
    let fresh = FRESH.min(list.record.next_update.since(http.ctx.now())).min(http.ctx.crls.settings.period);
    let common = Common::new(&list.record, hash, wish.is_pem, fresh);
    let is_plain = wish.is_pem || wish.is_delta || crl.der().len() > MOST;
    let is_gzip = !is_plain && !headers.contains_key(RANGE) && accepts_gzip(headers);
    if let Some(tag) = common.known(headers, is_gzip) {
        return Ok((StatusCode::NOT_MODIFIED, common.headers(tag)).into_response());
    }
    if wish.is_pem {
        return Ok((common.headers(common.tag(false)), text(crl)).into_response());
    }
    if is_gzip && let Some(body) = compressed(list, method).await {
        return Ok(([(CONTENT_ENCODING, "gzip")], common.headers(common.tag(true)), body).into_response());
    }
    Ok(partial(&common, headers, bytes(crl.shared_der())))
}

/// What every answer about a list says.
struct Common {
    tag: String,
    modified: String,
    modified_at: Timestamp,
    /// Whether it is the first list that bears its date.
    is_first: bool,
    fresh: u64,
    covers: u64,
    is_pem: bool,
}

impl Common {
    fn new(record: &CrlRecord, hash: &str, is_pem: bool, fresh: Duration) -> Self {
        let at = record.this_update.since(Timestamp::from_unix_seconds(0));
        Self {
            tag: format!("{}{}", hash.get(..32).unwrap_or(hash), if is_pem { "-pem" } else { "" }),
            modified: httpdate::fmt_http_date(std::time::UNIX_EPOCH + at),
            modified_at: record.this_update,
            is_first: is_first(record),
            fresh: fresh.as_secs(),
            covers: record.covers,
            is_pem,
        }
    }

    /// Strong tags: one a form, since their bytes differ (RFC 9110 section 8.8.3).
    fn tag(&self, is_gzip: bool) -> String {
        format!("\"{}{}\"", self.tag, if is_gzip { "-gzip" } else { "" })
    }

    fn headers(&self, tag: String) -> [(HeaderName, String); 7] {
        let (kind, ranges) =
            if self.is_pem { ("application/x-pem-file", "none") } else { ("application/pkix-crl", "bytes") };
        [
            (CONTENT_TYPE, kind.to_owned()),
            (ETAG, tag),
            (LAST_MODIFIED, self.modified.clone()),
            (CACHE_CONTROL, format!("public, max-age={}, must-revalidate", self.fresh)),
            (VARY, "Accept-Encoding".to_owned()),
            (ACCEPT_RANGES, ranges.to_owned()),
            (COVERS, self.covers.to_string()),
        ]
    }

    /// The tag of what whoever asks has already (RFC 9110 section 13.2.2): that of the form which would be sent, or of the
    /// other one if that is held. A date counts only for the first list that bears it, since whoever holds that date may
    /// hold the list before.
    fn known(&self, headers: &HeaderMap, is_gzip: bool) -> Option<String> {
        let sent = self.tag(is_gzip);
        if conditions::has_tags(headers) {
            return [sent, self.tag(!is_gzip)].into_iter().find(|tag| conditions::names(headers, tag.as_bytes()));
        }
        (self.is_first && conditions::is_dated(headers, self.modified_at)).then_some(sent)
    }

    /// Whether a range is of the bytes that are there (RFC 9110 section 13.1.5). A date, which other lists may share, does
    /// not say so.
    fn is_same(&self, headers: &HeaderMap) -> bool {
        headers.get(IF_RANGE).is_none_or(|known| known.as_bytes() == self.tag(false).as_bytes())
    }
}

/// Numbers rise and are never below the date in seconds: all lists before one whose number is its date are dated earlier.
fn is_first(record: &CrlRecord) -> bool {
    u64::try_from(record.this_update.unix_seconds()) == Ok(record.number)
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// All of it, or the one range that was asked for.
fn partial(common: &Common, headers: &HeaderMap, bytes: Bytes) -> Response {
    let wanted = text_of(headers, RANGE).filter(|_| common.is_same(headers));
    match wanted.map(|wanted| range(wanted, bytes.len())) {
        None | Some(Wanted::All) => (common.headers(common.tag(false)), bytes).into_response(),
        Some(Wanted::Part(part)) => {
            let last = part.end.saturating_sub(1);
            let place = [(CONTENT_RANGE, format!("bytes {}-{last}/{}", part.start, bytes.len()))];
            (StatusCode::PARTIAL_CONTENT, place, common.headers(common.tag(false)), bytes.slice(part)).into_response()
        }
        Some(Wanted::Outside) => {
            (StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, format!("bytes */{}", bytes.len()))]).into_response()
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<usize>),
    Outside,
}

/// One range of bytes; several, and what is not understood, mean all of it (RFC 9110 section 14.2).
fn range(text: &str, length: usize) -> Wanted {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let (first, last) = (first.trim(), last.trim());
    let (start, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.is_empty() => (first, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Wanted::All,
    };
    if start < end { Wanted::Part(start..end) } else { Wanted::Outside }
}

/// Whether gzip was asked for; whoever says nothing gets the list as it is.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| {
        let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
        coding.trim().eq_ignore_ascii_case("gzip") && weight > 0.0
    })
}

/// The compressed form, made by whoever asks first while others wait; for its head alone it is not made. None when that fails.
async fn compressed(list: &Arc<Published>, method: &Method) -> Option<Body> {
    if method == Method::HEAD && !list.gzip.initialized() {
        // of no known length, so that none is told
        return Some(Body::from_stream(futures_util::stream::empty::<Result<Bytes, std::convert::Infallible>>()));
    }
    let make = async || {
        let list = Arc::clone(list);
        tokio::task::spawn_blocking(move || gzip(list.full.der())).await.ok().flatten()
    };
    let made = list.gzip.get_or_init(make).await.clone();
    made.map(|made| Body::from(bytes(made)))
}

fn gzip(der: &[u8]) -> Option<Arc<Vec<u8>>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(der).and_then(|()| encoder.finish()).ok().map(Arc::new)
}

/// PEM, made while it is sent: of a long list there is never more than a piece beside the list itself.
fn text(crl: &Crl) -> Body {
    const LINES: usize = 1024 * pem::LINE_OCTETS;
    let der = crl.shared_der();
    let body = (0..der.len().div_ceil(LINES)).map(move |piece| {
        let start = piece.saturating_mul(LINES);
        let end = start.saturating_add(LINES).min(der.len());
        pem::lines(der.get(start..end).unwrap_or_default())
    });
    let whole = std::iter::once(pem::begin(pem::CRL)).chain(body).chain(std::iter::once(pem::end(pem::CRL)));
    Body::from_stream(futures_util::stream::iter(whole.map(Ok::<_, std::convert::Infallible>)))
}

/// The same bytes, not a copy.
fn bytes(shared: Arc<Vec<u8>>) -> Bytes {
    struct Shared(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Shared(shared))
}

#[cfg(test)]
mod tests {
    use axum::http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};

    use super::*;
    use crate::flows::crl::tests::record;

    #[test]
    fn crl_10_ranges_are_single_and_within() {
        for (text, wanted) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=5-", Wanted::Part(5..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=8-99", Wanted::Part(8..10)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=4-2", Wanted::All),
            ("bytes=-", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=99999999999999999999-", Wanted::All),
        ] {
            assert_eq!(range(text, 10), wanted, "{text}");
        }
    }

    #[test]
    fn crl_10_gzip_is_for_those_who_ask() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(accepts_gzip(&headers), accepted, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    /// A list of this number, dated 1000 seconds after the epoch.
    fn list(number: u64) -> Common {
        let at = Timestamp::from_unix_seconds(1000);
        Common::new(&record(number, at), "5a", false, FRESH)
    }

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    /// Fails when whoever holds the first list of a second is told by its date that the next one of that second is known.
    #[test]
    fn crl_10_a_date_that_two_lists_share_hides_neither() {
        let (first, second) = (list(1000), list(1001));
        assert_eq!(first.modified, second.modified);
        let dated = with(IF_MODIFIED_SINCE, &first.modified);
        assert_eq!(first.known(&dated, false), Some(first.tag(false)));
        assert_eq!(second.known(&dated, false), None);
        let later = with(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:16:41 GMT");
        assert_eq!(first.known(&later, false), None, "no list was given that date");
        assert!(!first.is_same(&with(IF_RANGE, &first.modified)));
        assert!(first.is_same(&HeaderMap::new()) && first.is_same(&with(IF_RANGE, &first.tag(false))));
        assert!(!first.is_same(&with(IF_RANGE, &first.tag(true))));
    }

    /// Fails when a cache that holds one form is told the tag of the other.
    #[test]
    fn crl_10_the_tag_that_is_known_is_told() {
        let list = list(1000);
        for is_gzip in [false, true] {
            for held in [false, true] {
                let known = list.known(&with(IF_NONE_MATCH, &format!("\"x\", {}", list.tag(held))), is_gzip);
                assert_eq!(known, Some(list.tag(held)), "{is_gzip}");
            }
            let both = format!("{}, {}", list.tag(false), list.tag(true));
            for any in ["*", &both] {
                assert_eq!(list.known(&with(IF_NONE_MATCH, any), is_gzip), Some(list.tag(is_gzip)), "{any}");
            }
            let mut lines = with(IF_NONE_MATCH, "\"x\"");
            assert_eq!(list.known(&lines, is_gzip), None);
            lines.append(IF_NONE_MATCH, list.tag(false).parse().unwrap());
            assert_eq!(list.known(&lines, is_gzip), Some(list.tag(false)), "on the second line");
        }
    }

    #[test]
    fn a_file_name_says_which_form() {
        let wish = |is_delta, is_pem| Wish { is_delta, is_pem };
        assert_eq!(Wish::read("0.crl"), Some(("0", wish(false, false))));
        assert_eq!(Wish::read("0-delta.pem"), Some(("0", wish(true, true))));
        assert_eq!(Wish::read("0.txt"), None);
    }
}
