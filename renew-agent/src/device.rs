//! What the CA's record says about this device: asked at enrolment and before each renewal.

use api::agent::AgentConfig;

use crate::acme::{AcmeClient, AcmeError, Payload, read_json};
use crate::state::DeviceRecord;

/// Where it is asked.
const PATH: &str = "/api/v1/agent/config";

/// The device's record; `None` when the account is bound to no device, or the CA knows nothing of devices.
pub async fn ask(client: &mut AcmeClient) -> Result<Option<DeviceRecord>, AcmeError> {
    const ACTION: &str = "read this device's record";
    let url = client.beside(PATH)?;
    match client.post(ACTION, &url, &Payload::PostAsGet).await {
        Ok(response) => Ok(Some(record(read_json(ACTION, &response)?))),
        Err(error) if matches!(error.status(), Some(404 | 405 | 501)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn record(config: AgentConfig) -> DeviceRecord {
    let of = |kind: &str| {
        let values = config.identifiers.iter().filter(|identifier| identifier.kind == kind);
        values.map(|identifier| identifier.value.clone()).collect()
    };
    DeviceRecord {
        dns: of("dns"),
        ip: of("ip"),
        renew_at_permille: Some(config.renew_at_permille).filter(|permille| (1..1000).contains(permille)),
        device: config.device,
        profile: config.profile,
    }
}
