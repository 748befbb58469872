//! Names of users and groups, looked up when the configuration is read.

use nix::unistd::{Group, User};

/// The numeric id of a user given by name or number.
pub(super) fn user(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("there is no user `{text}` on this node; correct `owner`, or create the user")),
        Err(error) => Err(format!("cannot look up the user `{text}`: {error}; `owner` may also be a number")),
    }
}

/// The numeric id of a group given by name or number.
pub(super) fn group(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("there is no group `{text}` on this node; correct `group`, or create the group")),
        Err(error) => Err(format!("cannot look up the group `{text}`: {error}; `group` may also be a number")),
    }
}
