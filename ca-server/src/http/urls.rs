//! The URLs of resources: all made from a configured base, never from the `Host` header (protocols HTP-1).
//!
//! The ids in them carry 80 random bits after the time, fewer than RFC 8555 section 10.5 asks of URLs that stand for a
//! permission. These do not: every resource but the directory, nonces and renewal information answers only requests
//! signed by the account that owns it, and what is somebody else's reads like what is not there (protocols HTP-8).

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use pki_core::ids::{AccountId, AuthorizationId, CertificateId, ChallengeId, OrderId, ProfileName};

/// Makes URLs below the external base address and reads them back.
#[derive(Debug, Clone)]
pub struct Urls {
    base: Arc<str>,
}

impl Urls {
    /// `base` is `external.main`, for example `https://ca.site.test:8443`.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').into() }
    }

    /// The URL of a path that begins with `/`.
    pub fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What rate limits there are.
    pub fn rate_limits(&self) -> String {
        self.absolute("/rate-limits")
    }

    /// The directory, of one profile or of all.
    pub fn directory(&self, profile: Option<&ProfileName>) -> String {
        match profile {
            Some(profile) => format!("{}/acme/p/{profile}/directory", self.base),
            None => self.acme("directory"),
        }
    }

    /// newOrder or newAuthz, of one profile or of all.
    pub fn of_profile(&self, resource: &str, profile: Option<&ProfileName>) -> String {
        match profile {
            Some(profile) => format!("{}/acme/p/{profile}/{resource}", self.base),
            None => self.acme(resource),
        }
    }

    /// A resource without id, such as `new-nonce`.
    pub fn acme(&self, resource: &str) -> String {
        format!("{}/acme/{resource}", self.base)
    }

    /// What the URLs of all accounts begin with; the id follows.
    pub fn accounts(&self) -> String {
        format!("{}/acme/account/", self.base)
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> String {
        self.one("account", id)
    }

    /// The orders of an account, from the first or after one.
    pub fn orders(&self, id: AccountId, after: Option<OrderId>) -> String {
        match after {
            Some(after) => format!("{}/orders?cursor={after}", self.account(id)),
            None => format!("{}/orders", self.account(id)),
        }
    }

    /// An order.
    pub fn order(&self, id: OrderId) -> String {
        self.one("order", id)
    }

    /// Where an order takes its CSR.
    pub fn finalize(&self, id: OrderId) -> String {
        format!("{}/finalize", self.order(id))
    }

    /// An authorization.
    pub fn authorization(&self, id: AuthorizationId) -> String {
        self.one("authz", id)
    }

    /// A challenge.
    pub fn challenge(&self, id: ChallengeId) -> String {
        self.one("challenge", id)
    }

    /// A certificate with its chain: the default one, or an alternate counted from 1.
    pub fn certificate(&self, id: CertificateId, alternate: usize) -> String {
        match alternate {
            0 => self.one("certificate", id),
            number => format!("{}/{number}", self.one("certificate", id)),
        }
    }

    fn one(&self, resource: &str, id: impl Display) -> String {
        format!("{}/acme/{resource}/{id}", self.base)
    }

    /// The account that a `kid` names; the whole URL has to be ours (protocols JWS-9).
    pub fn parse_account(&self, kid: &str) -> Option<AccountId> {
        self.parse(kid, "account")
    }

    fn parse<T: FromStr>(&self, url: &str, resource: &str) -> Option<T> {
        url.strip_prefix(&*self.base)?.strip_prefix("/acme/")?.strip_prefix(resource)?.strip_prefix('/')?.parse().ok()
    }

    /// Whether `url`, as signed by a client, is the address of `path`. A port that is the scheme's default may be there
    /// or not (protocols JWS-10).
    pub fn is_address_of(&self, url: &str, path: &str) -> bool {
        let without_path = url.strip_suffix(path);
        without_path.is_some_and(|base| base == &*self.base || base.strip_suffix(":443") == Some(&*self.base))
    }

    /// Whether a request for this authority, `host[:port]`, is meant for this base.
    pub fn is_authority(&self, authority: &str) -> bool {
        let own = self.base.split_once("://").map_or(&*self.base, |(_, own)| own);
        own.eq_ignore_ascii_case(authority.strip_suffix(":443").unwrap_or(authority))
            || own.eq_ignore_ascii_case(authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kids_are_compared_as_whole_urls() {
        let urls = Urls::new("https://ca.test:8443/");
        let id: AccountId = "00112233445566778899aabbccddeeff".parse().unwrap();
        assert_eq!(urls.parse_account(&urls.account(id)), Some(id));
        assert_eq!(urls.account(id), format!("{}{id}", urls.accounts()));
        for other in [
            "https://other.test:8443/acme/account/00112233445566778899aabbccddeeff",
            "/acme/account/00112233445566778899aabbccddeeff",
            "https://ca.test:8443/acme/account/00112233445566778899aabbccddeeff/",
            "https://ca.test:8443/acme/account/",
        ] {
            assert_eq!(urls.parse_account(other), None, "{other}");
        }
    }

    #[test]
    fn a_signed_url_is_the_requested_one() {
        let urls = Urls::new("https://ca.test");
        assert!(urls.is_address_of("https://ca.test/acme/new-order", "/acme/new-order"));
        assert!(urls.is_address_of("https://ca.test:443/acme/new-order", "/acme/new-order"));
        assert!(!urls.is_address_of("http://ca.test/acme/new-order", "/acme/new-order"));
        assert!(!urls.is_address_of("https://ca.test/acme/new-order", "/acme/new-account"));
        assert!(!urls.is_address_of("https://ca.test/x/acme/new-order", "/acme/new-order"));
    }
}
