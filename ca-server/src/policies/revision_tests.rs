//! What this module says of repositories that git made is what git says of them.

use std::process::Command;

use super::*;

const HASH: &str = "8f14e45fceea167a5a36dedd4bea2543a1b2c3d4";

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=Site", "-c", "user.email=site@site.test"]).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").env_remove("GIT_DIR");
    let output = command.output().expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with profiles in a folder of their own, and one commit.
fn repository(options: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    git(place.path(), &[&["init", "-q", "-b", "main"], options].concat());
    commit(place.path(), "1");
    place
}

fn commit(repository: &Path, content: &str) {
    fs::create_dir_all(repository.join("policies")).unwrap();
    fs::write(repository.join("policies/a.yaml"), content).unwrap();
    git(repository, &["add", "."]);
    git(repository, &["commit", "-qm", content]);
}

fn found(folder: &Path) -> Option<String> {
    let folder = fs::canonicalize(folder).unwrap();
    find(&folder, None, None).unwrap().map(|commit| commit.to_string())
}

#[track_caller]
fn must_agree(checkout: &Path) {
    let said = git(checkout, &["rev-parse", "HEAD"]);
    assert_eq!(found(&checkout.join("policies")), Some(said));
}

#[test]
fn branches_packed_names_tags_and_work_trees_lead_to_a_commit() {
    for options in [&[][..], &["--object-format=sha256"]] {
        let place = repository(options);
        let path = place.path();
        must_agree(path);
        git(path, &["checkout", "-qb", "site/plant-7"]);
        commit(path, "2");
        must_agree(path);
        git(path, &["tag", "-am", "t", "v1"]);
        git(path, &["pack-refs", "--all", "--prune"]);
        assert!(!path.join(".git/refs/heads/site/plant-7").exists(), "the name is packed");
        must_agree(path);
        git(path, &["checkout", "-q", "--detach", "main"]);
        must_agree(path);
        let beside = tempfile::tempdir().unwrap();
        let tree = beside.path().join("tree");
        git(path, &["worktree", "add", "-q", tree.to_str().unwrap(), "site/plant-7"]);
        must_agree(&tree);
        git(path, &["pack-refs", "--all", "--prune"]);
        must_agree(&tree);
        commit(&tree, "3");
        must_agree(&tree);
        assert_ne!(found(&tree.join("policies")), found(&path.join("policies")));
    }
}

#[test]
fn a_checkout_without_a_commit_or_out_of_order_has_none() {
    let place = tempfile::tempdir().unwrap();
    let (policies, git_folder) = (place.path().join("policies"), place.path().join(".git"));
    fs::create_dir(&policies).unwrap();
    git(place.path(), &["init", "-q"]);
    assert_eq!(found(&policies), None, "nothing was committed yet");
    let outside = place.path().join("outside");
    fs::write(&outside, HASH).unwrap();
    for head in [
        "",
        "ref: ",
        "ref: refs/../../outside",
        "ref: ../outside",
        "ref: /etc/hostname",
        "ref: refs//heads",
        "8f14e45f",
        "zz14e45fceea167a5a36dedd4bea2543a1b2c3d4",
        "ref: HEAD",
    ] {
        fs::write(git_folder.join("HEAD"), head).unwrap();
        assert_eq!(found(&policies), None, "{head}");
    }
    // names that lead to each other
    fs::write(git_folder.join("HEAD"), "ref: refs/heads/a").unwrap();
    fs::create_dir_all(git_folder.join("refs/heads")).unwrap();
    fs::write(git_folder.join("refs/heads/a"), "ref: refs/heads/b").unwrap();
    fs::write(git_folder.join("refs/heads/b"), "ref: refs/heads/a").unwrap();
    assert_eq!(found(&policies), None);
    fs::write(git_folder.join("refs/heads/b"), HASH).unwrap();
    assert_eq!(found(&policies).as_deref(), Some(HASH));
    fs::write(git_folder.join("HEAD"), [0xff; 10_000]).unwrap();
    assert_eq!(found(&policies), None);
}

#[test]
fn a_file_that_says_the_commit_goes_before_the_checkout_and_must_say_one() {
    let place = repository(&[]);
    let policies = fs::canonicalize(place.path()).unwrap().join("policies");
    fs::write(policies.join(FILE), format!("main@sha1:{HASH}\nwhatever\n")).unwrap();
    assert_eq!(found(&policies), Some(format!("main@sha1:{HASH}")));
    let configured = place.path().join("commit");
    let told = find(&policies, Some(&configured), None).unwrap_err().to_string();
    assert!(told.contains("/commit: the file does not exist; write it there, or leave"), "{told}");
    fs::write(&configured, "v7").unwrap();
    assert_eq!(find(&policies, Some(&configured), None).unwrap().unwrap().as_str(), "v7");
    for wrong in ["", "\nv7", "two words", "$(x)", "\u{1b}[1m"] {
        fs::write(policies.join(FILE), wrong).unwrap();
        let told = find(&policies, None, None).unwrap_err().to_string();
        assert!(told.contains("policies/REVISION: a commit is named by 1 to 100 letters"), "{told}");
    }
}

/// A CA that is tried out within a checkout of something else is not of that commit.
#[test]
fn no_checkout_above_the_cas_own_folder_is_meant() {
    let place = repository(&[]);
    let home = fs::canonicalize(place.path()).unwrap().join("pilotlight-data");
    let policies = home.join("policies");
    fs::create_dir_all(&policies).unwrap();
    assert_eq!(find(&policies, None, Some(&home)).unwrap(), None);
    assert!(find(&policies, None, None).unwrap().is_some());
    let elsewhere = place.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    assert!(find(&policies, None, Some(&elsewhere)).unwrap().is_some(), "a checkout beside the CA's folder is meant");
    git(&home, &["init", "-q", "-b", "main"]);
    commit(&home, "own");
    assert_eq!(find(&policies, None, Some(&home)).unwrap().unwrap().as_str(), git(&home, &["rev-parse", "HEAD"]));
}
