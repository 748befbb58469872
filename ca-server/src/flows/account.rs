//! Accounts: register, find, update, deactivate (RFC 8555 sections 7.3 and 7.3.6).

use std::sync::atomic::Ordering;

use ipnet::IpNet;
use pki_core::acme::account::{Account, AccountStatus, Binding, NewAccount as Beginning, parse_contacts};
use pki_core::acme::eab::BindingRequest;
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::device::{Device, DeviceState, EabKey, EabKeyState};
use pki_core::ids::{AccountId, EabKeyId, SiteName};
use pki_core::revocation::denied::Subject;
use store::revocations::denials;
use store::{Tx, accounts, audit, devices, eab_keys};

use super::authenticate::{AccountRequest, KeyRequest};
use super::denied::after_commit;
use super::rates::Asker;
use super::record::{With, event};
use super::{Context, FlowError, eab};

/// What a client asks for with newAccount.
#[derive(Debug, Default)]
pub struct NewAccount {
    /// Contact URLs as sent.
    pub contacts: Vec<String>,
    /// Only look an existing account up.
    pub only_existing: bool,
    /// The binding, parsed but not verified.
    pub binding: Option<BindingRequest>,
    /// Where it comes from.
    pub network: Option<IpNet>,
    /// Whether the terms of service were agreed to.
    pub agreed: bool,
}

/// Registered now, or known before.
#[derive(Debug)]
pub enum Registered {
    /// 201.
    New(Account),
    /// 200.
    Known(Account),
}

/// Registers the key of the request, or finds its account.
pub async fn register(ctx: &Context, request: &KeyRequest, new: NewAccount) -> Result<Registered, FlowError> {
    if let Some(known) = request.account() {
        return recognise(known.clone(), new.binding).map(Registered::Known);
    }
    if new.only_existing {
        return Err(FlowError::problem(ProblemKind::AccountDoesNotExist, "no account has this key"));
    }
    let contacts = parse_contacts(&new.contacts)?;
    let terms = terms(ctx);
    if terms.is_some() && !new.agreed {
        return Err(terms_not_agreed(ctx));
    }
    let bound = match new.binding {
        Some(binding) => Some(open_binding(ctx, request, binding).await?),
        None if ctx.external_account_required => {
            let detail =
                "this CA registers accounts only with an external account binding; ask its administrator for a key";
            return Err(FlowError::problem(ProblemKind::ExternalAccountRequired, detail));
        }
        None => None,
    };
    let device = bound.as_ref().and_then(|(_, device)| device.as_ref());
    // A token for a device is used once: there is nothing to limit.
    if device.is_none() {
        ctx.rates.new_account(&Asker::stranger(new.network))?;
    }
    let beginning = Beginning {
        site: device.map_or_else(SiteName::home, |device| device.site.clone()),
        key: request.key().clone(),
        contacts,
        binding: bound.as_ref().map(|(key, _)| Binding { key: key.id, device: key.device }),
        terms_agreed: terms.map(str::to_owned),
    };
    let holder = beginning.binding.and_then(|binding| binding.device).map(Subject::Device);
    let asking: Vec<Subject> = holder.into_iter().chain([Subject::Site(beginning.site.clone())]).collect();
    ctx.denied.refuse(&asking)?;
    let account = Account::new(beginning, ctx.now(), ctx.entropy.as_ref());
    insert(ctx, request, account, bound).await
}

/// The terms that accounts have to agree to, by their URL.
fn terms(ctx: &Context) -> Option<&str> {
    Some(ctx.service.terms_of_service.as_str()).filter(|terms| !terms.is_empty())
}

/// Protocols ACC-6: whoever has not agreed to the terms in force orders nothing until then.
pub(super) fn require_terms(ctx: &Context, account: &Account) -> Result<(), FlowError> {
    match terms(ctx) {
        Some(terms) if account.owes_agreement(terms) => Err(terms_not_agreed(ctx)),
        _ => Ok(()),
    }
}

fn terms_not_agreed(ctx: &Context) -> FlowError {
    let detail = "read the terms of service and send `termsOfServiceAgreed` to agree to them, with newAccount or to the \
                  account URL";
    Problem::new(ProblemKind::UserActionRequired, detail).with_instance(&ctx.service.terms_of_service).into()
}

async fn find(ctx: &Context, request: &KeyRequest) -> Result<Option<Account>, FlowError> {
    let thumbprint = request.key().thumbprint();
    ctx.store.read(async move |tx| Ok(accounts::find_by_thumbprint(tx, &thumbprint).await?)).await
}

/// Protocols ACC-2 and ACC-10: a known key gets its account and nothing else. The same binding again is the same
/// enrolment, however often power was cut in between.
fn recognise(account: Account, binding: Option<BindingRequest>) -> Result<Account, FlowError> {
    if account.status != AccountStatus::Valid {
        let detail = format!("the account of this key is {}", account.status.as_str());
        return Err(Problem::new(ProblemKind::Unauthorized, detail).with_status(401).into());
    }
    let sent = binding.map(|binding| binding.key_id());
    match (sent, account.binding) {
        (None, _) => Ok(account),
        (Some(key), Some(bound)) if key == bound.key => Ok(account),
        _ => Err(FlowError::problem(
            ProblemKind::Unauthorized,
            "this key has an account already, bound otherwise; use a new account key for another token",
        )),
    }
}

/// Finds the external account key and verifies the binding with its secret.
async fn open_binding(
    ctx: &Context,
    request: &KeyRequest,
    binding: BindingRequest,
) -> Result<(EabKey, Option<Device>), FlowError> {
    let refused = || {
        let detail = "the external account key is unknown, used up or withdrawn; ask the administrator for a new one";
        FlowError::problem(ProblemKind::Unauthorized, detail)
    };
    let (Some(key), device) = find_key(ctx, binding.key_id()).await? else { return Err(refused()) };
    let is_over = key.expires_at.is_some_and(|end| end <= ctx.now())
        || device.as_ref().is_some_and(|device| !device.state.is_in_service());
    match &key.state {
        EabKeyState::Unused { .. } if is_over => Err(refused()),
        EabKeyState::Unused { sealed_secret } => {
            let secret = eab::open_secret(ctx, key.id, sealed_secret)?;
            let verified = binding.verify(&secret).map_err(|error| error.problem())?;
            debug_assert_eq!(verified.key_id(), key.id);
            Ok((key, device))
        }
        EabKeyState::Bound { account, .. } => {
            raise_conflict(ctx, &key, *account, request).await?;
            let detail = "this token was used already with another key. If the device was reinstalled, ask the administrator \
                          for a new token; if not, somebody else has used it";
            Err(FlowError::problem(ProblemKind::Unauthorized, detail))
        }
        EabKeyState::Revoked { .. } => Err(refused()),
    }
}

/// The key of a binding, and the device it is for.
async fn find_key(ctx: &Context, id: EabKeyId) -> Result<(Option<EabKey>, Option<Device>), FlowError> {
    ctx.store
        .read(async move |tx| {
            let key = eab_keys::find(tx, id).await?;
            let device = match key.as_ref().and_then(|key| key.device) {
                Some(device) => devices::find(tx, device).await?,
                None => None,
            };
            Ok::<_, FlowError>((key, device))
        })
        .await
}

/// A second key for a spent token is what a stolen token looks like: the administrator has to see it.
async fn raise_conflict(ctx: &Context, key: &EabKey, holder: AccountId, request: &KeyRequest) -> Result<(), FlowError> {
    ctx.metrics.enrolment_conflicts.fetch_add(1, Ordering::Relaxed);
    let subject = key.device.map_or_else(|| format!("eab-key:{}", key.id), |device| format!("device:{device}"));
    tracing::warn!(eab_key = %key.id, %subject, "a token was used again with another key");
    let conflict = event(ctx, "unknown", "enrolment.conflict", subject)
        .with("eab_key", key.id)
        .with("bound_account", holder)
        .with("offered_key", request.key().thumbprint());
    ctx.store.write(async move |tx| Ok(audit::append(tx, &conflict).await?)).await
}

/// Account, spent key, device state and event in one transaction; a simultaneous twin of the request finds the winner's.
async fn insert(
    ctx: &Context,
    request: &KeyRequest,
    account: Account,
    bound: Option<(EabKey, Option<Device>)>,
) -> Result<Registered, FlowError> {
    let registered: AuditEvent =
        event(ctx, format_args!("account:{}", account.id), "account.register", format_args!("account:{}", account.id))
            .with("thumbprint", account.thumbprint)
            .with("eab_key", account.binding.map_or_else(|| "none".to_owned(), |binding| binding.key.to_string()));
    let row = account.clone();
    let outcome = ctx
        .store
        .write(async move |tx| {
            // the device first, as taking it out does: in another order the two would wait for each other
            if let Some((_, Some(device))) = &bound {
                let enrolled = DeviceState::Enrolled { at: row.created_at };
                devices::update(tx, &Device { state: enrolled, ..device.clone() }).await?;
            }
            accounts::insert(tx, &row).await?;
            let mut retired = Vec::new();
            if let Some((key, device)) = &bound {
                eab_keys::bind(tx, key.id, row.id, row.created_at).await?;
                if let Some(device) = device {
                    retired = retire_others(tx, device, row.id).await?;
                }
            }
            audit::append(tx, &registered).await?;
            for account in &retired {
                denials::deny(tx, &Subject::Account(*account), row.created_at).await?;
            }
            Ok::<_, FlowError>(!retired.is_empty())
        })
        .await;
    failpoint::failpoint!("ca.account.after_commit");
    if let Ok(true) = outcome {
        after_commit(ctx).await;
    }
    match (outcome, find(ctx, request).await?) {
        (Ok(_), _) => Ok(Registered::New(account)),
        (Err(_), Some(winner)) => Ok(Registered::Known(winner)),
        (Err(error), None) => Err(error),
    }
}

/// A new token replaces what the device had before: its former key may be on a disk that somebody else has now.
async fn retire_others(tx: &mut Tx<'_>, device: &Device, newest: AccountId) -> Result<Vec<AccountId>, FlowError> {
    let mut retired = Vec::new();
    for account in accounts::list_for_device(tx, device.id).await? {
        if account.id != newest && account.status == AccountStatus::Valid {
            retired.push(account.id);
            accounts::update(tx, &account.revoke()?).await?;
        }
    }
    Ok(retired)
}

/// What an update may change (RFC 8555 section 7.3.2); everything else is ignored.
#[derive(Debug, Default)]
pub struct Update {
    /// New contacts; none leaves them.
    pub contacts: Option<Vec<String>>,
    /// `status: "deactivated"`.
    pub deactivate: bool,
    /// `termsOfServiceAgreed: true`.
    pub agree: bool,
}

/// Changes contacts or deactivates.
pub async fn update(ctx: &Context, request: &AccountRequest, change: Update) -> Result<Account, FlowError> {
    let account = apply(ctx, request.account().clone(), &change)?;
    if account == *request.account() {
        return Ok(account);
    }
    let action = if change.deactivate { "account.deactivate" } else { "account.update" };
    let changed = event(ctx, format_args!("account:{}", account.id), action, format_args!("account:{}", account.id));
    let (row, ends, now) = (account.clone(), change.deactivate, ctx.now());
    ctx.store
        .write(async move |tx| {
            accounts::update(tx, &row).await?;
            audit::append(tx, &changed).await?;
            if ends {
                denials::deny(tx, &Subject::Account(row.id), now).await?;
            }
            Ok::<_, FlowError>(())
        })
        .await?;
    if ends {
        after_commit(ctx).await;
    }
    Ok(account)
}

fn apply(ctx: &Context, account: Account, change: &Update) -> Result<Account, FlowError> {
    if change.deactivate {
        return Ok(account.deactivate()?);
    }
    let account = match &change.contacts {
        Some(contacts) => account.with_contacts(parse_contacts(contacts)?),
        None => account,
    };
    Ok(match terms(ctx) {
        Some(terms) if change.agree => account.agree(terms.to_owned()),
        _ => account,
    })
}
