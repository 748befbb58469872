//! What looks see while folders change.

use std::collections::VecDeque;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const NAMES: [&str; 6] = ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yml", "f.yaml"];

fn fill(folder: &Path, content: &str) {
    fs::create_dir(folder).unwrap();
    NAMES.iter().for_each(|name| fs::write(folder.join(name), content).unwrap());
    fs::write(folder.join("REVISION"), content).unwrap();
}

/// Turns `folder/..data` to a new folder full of `content` and deletes the old one, as kubelet does.
fn turn(folder: &Path, number: usize, content: &str) {
    let (name, beside) = (format!("..{number}"), folder.join("..data_tmp"));
    fill(&folder.join(&name), content);
    let old = fs::read_link(folder.join("..data")).ok();
    symlink(name, &beside).unwrap();
    fs::rename(&beside, folder.join("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(folder.join(old)).unwrap();
    }
}

/// The one content that all files of a look have, and its commit.
#[track_caller]
fn only_content(look: Result<Snapshot, PolicyFolderError>) -> String {
    let snapshot = look.unwrap();
    let contents: BTreeSet<Vec<u8>> = snapshot.files().map(|(_, content)| content.unwrap().to_vec()).collect();
    assert_eq!(snapshot.files().count(), NAMES.len(), "part of a folder");
    assert_eq!(contents.len(), 1, "parts of two folders: {contents:?}");
    let content = String::from_utf8(contents.into_iter().next().unwrap()).unwrap();
    assert_eq!(snapshot.commit().unwrap().as_str(), content, "the commit of another folder");
    content
}

/// Fails when files are reached through the symlink each by itself, or when a look counts although it was turned.
#[test]
fn a_look_is_of_one_folder_while_a_symlink_is_turned() {
    let place = tempfile::tempdir().unwrap();
    let (folder, is_over) = (place.path(), AtomicBool::new(false));
    turn(folder, 0, "c0");
    for name in NAMES.iter().chain(&["REVISION"]) {
        symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for number in 1..400 {
                turn(folder, number, &format!("c{number}"));
            }
            is_over.store(true, Ordering::SeqCst);
        });
        let mut seen = BTreeSet::new();
        while !is_over.load(Ordering::SeqCst) {
            seen.insert(only_content(Source::folder(folder).look()));
        }
        assert!(seen.len() > 3, "the folder changed meanwhile: {seen:?}");
    });
    assert_eq!(only_content(Source::folder(folder).look()), "c399");
}

/// A checkout that a symlink leads to, as git-sync makes it.
#[test]
fn a_folder_behind_a_symlink_is_read_where_it_is() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("old")).unwrap();
    fill(&place.path().join("old/policies"), "c1");
    symlink("old", place.path().join("current")).unwrap();
    let source = Source::folder(&place.path().join("current/policies"));
    assert_eq!(only_content(source.look()), "c1");
    let names: Vec<PathBuf> = source.look().unwrap().files().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(names[0], place.path().join("current/policies/a.yaml"), "files have the names that people know");
}

#[tokio::test]
async fn a_folder_is_settled_when_two_looks_see_the_same() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.yaml");
    let run = async |contents: &[&str]| {
        let mut contents: VecDeque<&str> = contents.iter().copied().collect();
        let look = || {
            match contents.pop_front().unwrap() {
                "" => drop(fs::remove_file(&file)),
                content => fs::write(&file, content).unwrap(),
            }
            std::future::ready(Source::folder(place.path()).look())
        };
        let settled = settle(look, || std::future::ready(())).await;
        let settled = settled.map(|look| look.map(|snapshot| snapshot.files[0].1.clone().unwrap()));
        (settled, contents.len())
    };
    let (settled, left) = run(&["1", "2", "", "3", "3", "4"]).await;
    assert_eq!((settled.unwrap().unwrap(), left), (b"3".to_vec(), 1));
    let (settled, left) = run(&["1", "", "", "4"]).await;
    assert!(matches!(settled, Some(Err(PolicyFolderError::Empty(_)))) && left == 1, "what stays away is away");
    let changing: Vec<String> = (0..100).map(|number| format!("{number}")).collect();
    let (settled, left) = run(&changing.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(settled.is_none() && left == 60, "{left}");
}

/// Each of these has been passed over by some program, and a profile was missing then.
#[test]
fn what_is_no_file_is_told_by_name() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("policies");
    let fault = |make: &dyn Fn(&Path)| {
        fill(&folder, "c1");
        make(&folder.join("odd.yaml"));
        let told = super::super::load(&folder, &[]).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        told.lines().find(|line| line.contains("odd.yaml")).unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    assert!(fault(&|odd| fs::create_dir(odd).unwrap()).ends_with("it is no regular file"));
    assert!(fault(&|odd| symlink("nowhere.yaml", odd).unwrap()).contains("No such file"));
    let pipe = |odd: &Path| {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, odd, kind, mode, 0).unwrap();
    };
    assert!(fault(&pipe).ends_with("it is no regular file"));
}

#[test]
fn a_folder_has_profiles_and_not_too_many() {
    let place = tempfile::tempdir().unwrap();
    let told = |folder: &Path| Source::folder(folder).look().unwrap_err().to_string();
    assert!(told(&place.path().join("absent")).contains("cannot read the policy folder"));
    for other in [".hidden.yaml", "README.md", "gateway.yaml~", "yaml"] {
        fs::write(place.path().join(other), "x").unwrap();
    }
    assert!(told(place.path()).contains("has no *.yaml file"));
    for number in 0..=MAX_FILES {
        fs::write(place.path().join(format!("{number}.yaml")), "x").unwrap();
    }
    assert!(told(place.path()).contains("has more than 1000 *.yaml files"));
    let large = vec![b'#'; 200 * 1024];
    (0..90).for_each(|number| fs::write(place.path().join(format!("{number}.yaml")), &large).unwrap());
    (90..=MAX_FILES).for_each(|number| fs::remove_file(place.path().join(format!("{number}.yaml"))).unwrap());
    assert!(told(place.path()).contains("has more than 16 MB of profiles"));
}

#[test]
fn a_change_of_any_name_or_byte_is_another_content() {
    let place = tempfile::tempdir().unwrap();
    let mut seen = BTreeSet::new();
    let mut add = |files: &[(&str, &str)]| {
        let folder = place.path().join("policies");
        fs::create_dir(&folder).unwrap();
        files.iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
        assert!(seen.insert(Source::folder(&folder).look().unwrap().digest()), "{files:?}");
        fs::remove_dir_all(folder).unwrap();
    };
    add(&[("a.yaml", "x"), ("b.yaml", "y")]);
    add(&[("a.yaml", "y"), ("b.yaml", "x")]);
    add(&[("a.yaml", "x")]);
    add(&[("a.yaml", "x"), ("c.yaml", "y")]);
    add(&[("a.yaml", "xb.yamly")]);
    add(&[("a.yaml", "x"), ("b.yaml", "y "), (".c.yaml", "z")]);
}
