//! Whether a service's own user can read a file: asked before the swap, because services say it only in their logs.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Finding;

/// Upper bound for the account files and `/proc` entries that are read here.
const LIMIT: u64 = 1024 * 1024;

/// A user with its groups, as the kernel would judge it. Access lists beyond mode bits are not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) name: String,
    uid: u32,
    groups: Vec<u32>,
}

impl Reader {
    /// The user a running process has now.
    pub(super) fn of_process(pid: &str) -> Option<Self> {
        let status = read_bounded(Path::new("/proc").join(pid).join("status").as_path())?;
        let numbers = |key: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        // Real, effective, saved, filesystem: files are judged by the last.
        let uid = numbers("Uid:").get(3).copied()?;
        let mut groups = numbers("Groups:");
        groups.extend(numbers("Gid:").get(3));
        Some(Self { name: format!("process {pid} (user id {uid})"), uid, groups })
    }

    /// The user called `name` in the account files; users of a directory service are not found.
    pub(super) fn of_user(name: &str) -> Option<Self> {
        Self::in_files(name, &read_bounded(Path::new("/etc/passwd"))?, &read_bounded(Path::new("/etc/group"))?)
    }

    fn in_files(name: &str, passwd: &str, group: &str) -> Option<Self> {
        let entry: Vec<&str> = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|entry| entry.first() == Some(&name))?;
        let uid = entry.get(2)?.parse().ok()?;
        let mut groups = vec![entry.get(3)?.parse().ok()?];
        for line in group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [_, _, id, members] = fields.as_slice()
                && members.split(',').any(|member| member == name)
            {
                groups.extend(id.parse::<u32>().ok());
            }
        }
        Some(Self { name: format!("user {name}"), uid, groups })
    }

    /// A finding about reading `file`: every folder on the way and what symbolic links lead to are judged.
    pub(super) fn finding(&self, file: &Path) -> Finding {
        let id = "key-readable";
        match self.blocked_at(file) {
            Ok(None) => Finding::good(id, format!("{} can read {}", self.name, file.display())),
            Ok(Some(place)) => Finding::bad(
                id,
                format!("{} cannot read {}: stopped at {}", self.name, file.display(), place.display()),
                "set owner, group and mode of this certificate in the agent's configuration",
            ),
            Err(error) => Finding::bad(
                id,
                format!("{} cannot be looked at: {error}", file.display()),
                "run `renew-agent once` to get the first certificate, or run doctor as root",
            ),
        }
    }

    /// The first place on the way to `file` that stops this user.
    fn blocked_at(&self, file: &Path) -> std::io::Result<Option<PathBuf>> {
        let target = fs::canonicalize(file)?;
        for way in [target.as_path(), file] {
            let mut folders: Vec<&Path> =
                way.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).collect();
            folders.reverse();
            for folder in folders {
                if !self.allowed(&fs::metadata(folder)?, 0o1) {
                    return Ok(Some(folder.to_owned()));
                }
            }
        }
        Ok((!self.allowed(&fs::metadata(&target)?, 0o4)).then_some(target))
    }

    fn allowed(&self, meta: &fs::Metadata, wanted: u32) -> bool {
        if self.uid == 0 {
            return true;
        }
        let shift = if meta.uid() == self.uid {
            6
        } else if self.groups.contains(&meta.gid()) {
            3
        } else {
            0
        };
        (meta.mode() >> shift) & wanted == wanted
    }
}

fn read_bounded(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn users_and_groups_come_from_the_account_files() {
        let passwd = "root:x:0:0::/root:/bin/sh\nrabbitmq:x:105:111::/var/lib/rabbitmq:/bin/false\n";
        let group = "root:x:0:\nssl-cert:x:108:postgres,rabbitmq\nbroken\nrabbitmq:x:111:\n";
        let reader = Reader::in_files("rabbitmq", passwd, group).unwrap();
        assert_eq!((reader.uid, reader.groups), (105, vec![111, 108]));
        assert_eq!(Reader::in_files("rabbit", passwd, group), None);
    }

    #[test]
    fn this_process_is_known_to_the_kernel() {
        let own = Reader::of_process("self").unwrap();
        let owner = fs::metadata("/proc/self/status").unwrap().uid();
        assert_eq!(own.uid, owner);
    }

    #[test]
    fn the_mode_of_key_and_folders_decides() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (generation, live) = (folder.path().join("g-1"), folder.path().join("live"));
        fs::create_dir(&generation).unwrap();
        fs::create_dir(&live).unwrap();
        symlink(&generation, live.join("current")).unwrap();
        let key = live.join("current/key.pem");
        fs::write(&key, "").unwrap();
        let meta = fs::metadata(&key).unwrap();

        let stranger = Reader { name: "user x".to_owned(), uid: meta.uid() + 1, groups: vec![meta.gid() + 1] };
        let colleague = Reader { groups: vec![meta.gid()], ..stranger.clone() };
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&generation, 0o755);
        mode(&live, 0o755);
        mode(&key, 0o640);
        assert!(!stranger.finding(&key).ok);
        assert!(colleague.finding(&key).ok, "{:?}", colleague.finding(&key));
        mode(&generation, 0o700);
        let finding = colleague.finding(&key);
        assert!(!finding.ok && finding.text.ends_with("g-1"), "{finding:?}");
        mode(&generation, 0o750);
        mode(&live, 0o700);
        assert!(!colleague.finding(&key).ok, "the folder that holds the symbolic link counts too");
    }
}
