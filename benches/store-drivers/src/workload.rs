//! The five transactions of an http-01 order, as statements on the project's own schema.

/// An argument.
#[derive(Clone)]
pub enum Arg {
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A statement with its arguments. `$1` stands for the first.
#[derive(Clone)]
pub struct Statement(pub &'static str, pub Vec<Arg>);

pub type Transaction = Vec<Statement>;

pub const ACCOUNT: &str = "INSERT INTO account (id, site_id, thumbprint, jwk, contacts, status, created_at, version) \
                           VALUES ('account', 'home', 'thumbprint', '{}', '[]', 'valid', 0, 0)";

const AUTHORIZATION: &str = "INSERT INTO acme_authorization (id, account_id, kind, value, status, proof, \
                             challenges, created_at, expires_at, version) \
                             VALUES ($1, 'account', 'dns', $2, 'pending', 'challenge', $3, 0, 1, 0)";
const ORDER: &str = "INSERT INTO acme_order (id, account_id, identifiers, profile, state, created_at, expires_at, version) \
                     VALUES ($1, 'account', $2, 'gateway', 'pending', 0, 1, 0)";
const LINK: &str = "INSERT INTO order_authorization (order_id, position, authorization_id) VALUES ($1, 0, $2)";
const AUDIT: &str = "INSERT INTO audit_event (id, action, subject, bytes) VALUES ($1, 'order.change', $2, $3)";
const SET_AUTHORIZATION: &str = "UPDATE acme_authorization SET status = $3, challenges = $4, version = version + 1 \
                                 WHERE id = $1 AND version = $2";
const SET_ORDER: &str = "UPDATE acme_order SET state = $3, version = version + 1 WHERE id = $1 AND version = $2";
const PLAN: &str = "INSERT INTO certificate (id, issuer_id, serial, site_id, account_id, order_id, source, profile, \
                    policy_revision, epoch, identifiers, spki_sha256, not_before, not_after, lineage_id, generation, shard, \
                    crl_urls, state, tbs, created_at, version) VALUES ($1, 'issuer', $2, 'home', 'account', $3, 'acme', \
                    'gateway', 'revision', 1, $4, $5, 0, 1, $1, 1, 0, '[]', 'planned', $6, 0, 0)";
const ISSUE: &str = "UPDATE certificate SET state = 'issued', der = $3, tbs = NULL, version = version + 1 \
                     WHERE id = $1 AND version = $2";

/// The transactions of one order. Identifiers begin with what grows, as those of the CA begin with time.
pub fn order(caller: u64, number: u64) -> [Transaction; 5] {
    let id = |what: &str| Arg::Text(format!("{number:012x}{caller:06x}{what:_<14}"));
    let name = format!("gw-{caller}-{number}.site.test");
    let text = |text: &str| Arg::Text(text.to_owned());
    let audit = |what: &str| Statement(AUDIT, vec![id(what), id("order"), Arg::Bytes(vec![b'x'; 230])]);
    let set = |sql, what: &str, version, state: &str| Statement(sql, vec![id(what), Arg::Int(version), text(state)]);
    let challenges = |state: &str| {
        Arg::Text(format!("[{{\"kind\":\"http-01\",\"token\":\"{}\",\"state\":\"{state}\"}}]", "t".repeat(43)))
    };
    let set_authorization = |version, status: &str, state: &str| {
        Statement(SET_AUTHORIZATION, vec![id("authorization"), Arg::Int(version), text(status), challenges(state)])
    };
    [
        vec![
            Statement(AUTHORIZATION, vec![id("authorization"), text(&name), challenges("pending")]),
            Statement(ORDER, vec![id("order"), text(&format!("[[\"dns\",\"{name}\"]]"))]),
            Statement(LINK, vec![id("order"), id("authorization")]),
            audit("event-1"),
        ],
        vec![set_authorization(0, "pending", "processing")],
        vec![set_authorization(1, "valid", "valid"), set(SET_ORDER, "order", 0, "ready")],
        vec![
            // a serial is random: this one is spread like one
            Statement(
                PLAN,
                vec![
                    id("certificate"),
                    Arg::Text(format!(
                        "{:016x}{caller:06x}",
                        (number << 16 | caller).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    )),
                    id("order"),
                    text(&format!("[[\"dns\",\"{name}\"]]")),
                    Arg::Bytes(vec![7; 32]),
                    Arg::Bytes(vec![0x30; 600]),
                ],
            ),
            set(SET_ORDER, "order", 1, "processing"),
            audit("event-2"),
        ],
        vec![
            Statement(ISSUE, vec![id("certificate"), Arg::Int(0), Arg::Bytes(vec![0x30; 750])]),
            set(SET_ORDER, "order", 2, "valid"),
            audit("event-3"),
        ],
    ]
}
