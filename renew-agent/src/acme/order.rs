//! Orders (RFC 8555 section 7.4): made, carried through, and taken up again after a power cut.

use std::time::Duration;

use api::acme::{Finalize, IdentifierObject, NewOrder, OrderObject, OrderStatus};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pki_core::x509::name::Identifier;

use super::client::{read_json, unexpected};
use super::{AcmeClient, AcmeError, Payload};

/// How long an order is watched in one go; afterwards it is taken up by the next attempt.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks, unless the CA says otherwise.
const PAUSE: Duration = Duration::from_secs(1);

/// What is ordered.
#[derive(Debug)]
pub struct OrderRequest<'a> {
    /// The names.
    pub names: &'a [Identifier],
    /// The profile, when it is not the account's own (draft-ietf-acme-profiles).
    pub profile: Option<&'a str>,
    /// The certificate it replaces (RFC 9773 section 5), by its certificate id.
    pub replaces: Option<String>,
}

impl AcmeClient {
    /// Makes an order; its URL and what the CA says of it.
    pub async fn new_order(&mut self, wanted: &OrderRequest<'_>) -> Result<(String, OrderObject), AcmeError> {
        let replaces = wanted.replaces.clone().filter(|_| self.directory.renewal_info.is_some());
        match self.order_with(wanted, replaces.clone()).await {
            // The CA does not know the old certificate, or gave its place away: the new one is needed all the same.
            Err(error) if replaces.is_some() && matches!(error.kind(), Some("alreadyReplaced" | "malformed")) => {
                tracing::info!(%error, "ordering without naming the certificate that is replaced");
                self.order_with(wanted, None).await
            }
            other => other,
        }
    }

    async fn order_with(
        &mut self,
        wanted: &OrderRequest<'_>,
        replaces: Option<String>,
    ) -> Result<(String, OrderObject), AcmeError> {
        const ACTION: &str = "order the certificate";
        let object = |name: &Identifier| IdentifierObject { kind: name.kind().to_owned(), value: name.value() };
        let payload = Payload::json(&NewOrder {
            identifiers: wanted.names.iter().map(object).collect(),
            profile: wanted.profile.map(str::to_owned),
            replaces,
            ..NewOrder::default()
        })?;
        let url = self.directory.new_order.clone();
        let response = self.post(ACTION, &url, &payload).await?;
        let order = read_json(ACTION, &response)?;
        let url = response.header("location").map(str::to_owned);
        Ok((url.ok_or_else(|| unexpected(ACTION, "the CA's answer names no order".to_owned()))?, order))
    }

    /// What the CA says of an order.
    pub async fn order(&mut self, url: &str) -> Result<OrderObject, AcmeError> {
        self.look(url).await.map(|(order, _)| order)
    }

    async fn look(&mut self, url: &str) -> Result<(OrderObject, Option<Duration>), AcmeError> {
        const ACTION: &str = "look at the order";
        let response = self.post(ACTION, url, &Payload::PostAsGet).await?;
        Ok((read_json(ACTION, &response)?, response.retry_after()))
    }

    /// Hands in the request (PKCS #10, DER) for a ready order.
    pub async fn finalize(&mut self, order: &OrderObject, csr: &[u8]) -> Result<OrderObject, AcmeError> {
        const ACTION: &str = "hand in the certificate request";
        let payload = Payload::json(&Finalize { csr: BASE64_URL_SAFE_NO_PAD.encode(csr) })?;
        let response = self.post(ACTION, &order.finalize, &payload).await?;
        read_json(ACTION, &response)
    }

    /// Waits while the order is processed; ends with a valid one.
    pub async fn settled(&mut self, url: &str, mut order: OrderObject) -> Result<OrderObject, AcmeError> {
        const ACTION: &str = "get the certificate";
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut pause = PAUSE;
        loop {
            match order.status {
                OrderStatus::Valid => return Ok(order),
                OrderStatus::Processing => {}
                _ => return Err(failed(ACTION, &order)),
            }
            if tokio::time::Instant::now() + pause > deadline {
                return Err(AcmeError::NotYet { action: ACTION, retry_after: Some(pause) });
            }
            tokio::time::sleep(pause).await;
            let (now, retry_after) = self.look(url).await?;
            order = now;
            pause = retry_after.map_or(PAUSE, |wait| wait.clamp(PAUSE, PATIENCE));
        }
    }

    /// The chain of a valid order, PEM, leaf first.
    pub async fn chain(&mut self, order: &OrderObject) -> Result<String, AcmeError> {
        const ACTION: &str = "download the certificate";
        let url = order.certificate.as_deref();
        let url = url.ok_or_else(|| unexpected(ACTION, "the order is valid but names no certificate".to_owned()))?;
        let response = self.post(ACTION, url, &Payload::PostAsGet).await?;
        String::from_utf8(response.body).map_err(|_| unexpected(ACTION, "the chain is not text".to_owned()))
    }
}

/// What became of an order that will not lead to a certificate.
pub(super) fn failed(action: &'static str, order: &OrderObject) -> AcmeError {
    let reason = order.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    let status = format!("{:?}", order.status).to_lowercase();
    unexpected(action, format!("the order is {status}{reason}"))
}
