//! File effects against a file system that changes under them.

mod shield_support;

use foil_manifest::ShieldLevel;
use foil_safe_path::Fingerprint;
use foil_shield::{FileFailure, FileOp};
use sha2::Digest;
use shield_support::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

type Outcome = Result<Option<Fingerprint>, FileFailure>;

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn identity(path: &Path) -> (u64, u64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.dev(), metadata.ino())
}

async fn perform(stage: &Stage, op: FileOp) -> Outcome {
    tokio::time::timeout(Duration::from_secs(20), stage.run.file(op)).await.expect("it hangs").unwrap()
}

async fn create(stage: &Stage, path: &Path, content: &[u8], mode: u32) -> Outcome {
    perform(stage, FileOp::Create { path: text(path), content: content.into(), mode }).await
}

async fn write(stage: &Stage, path: &Path, content: &[u8], append: bool, expect: (u64, u64)) -> Outcome {
    perform(stage, FileOp::Write { path: text(path), content: content.into(), append, expect }).await
}

async fn remove(stage: &Stage, path: &Path, expect: (u64, u64)) -> Outcome {
    perform(stage, FileOp::Remove { path: text(path), expect }).await
}

fn agrees(found: &Fingerprint, path: &Path) {
    let metadata = fs::symlink_metadata(path).unwrap();
    assert_eq!((found.dev, found.ino), identity(path));
    assert_eq!((found.size, found.mode), (metadata.len(), metadata.permissions().mode() & 0o7777));
    assert_eq!((found.uid, found.gid), (metadata.uid(), metadata.gid()));
    assert_eq!(found.mtime_ns, i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()));
    if metadata.is_file() {
        assert_eq!(found.sha256, hex::encode(sha2::Sha256::digest(fs::read(path).unwrap())));
    }
}

#[tokio::test]
async fn effects_happen_and_say_what_is_there() {
    for level in [ShieldLevel::Confined, ShieldLevel::Open] {
        let stage = Stage::with(level, |_| {}).await;
        // Outside of what children may write: the module's grant is another than its children's.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let made = create(&stage, &path, b"one", 0o666).await.unwrap().unwrap();
        agrees(&made, &path);
        assert_eq!(made.mode, 0o666, "not cut by a umask");
        let longer = write(&stage, &path, b" and two", true, identity(&path)).await.unwrap().unwrap();
        agrees(&longer, &path);
        assert_eq!(fs::read(&path).unwrap(), b"one and two");
        let other = write(&stage, &path, b"three", false, identity(&path)).await.unwrap().unwrap();
        agrees(&other, &path);
        assert_eq!((fs::read(&path).unwrap(), other.ino), (b"three".to_vec(), made.ino));
        assert_eq!(remove(&stage, &path, identity(&path)).await, Ok(None));
        assert!(!path.exists());
        let below = folder.path().join("below");
        let made = perform(&stage, FileOp::CreateDirectory { path: text(&below) }).await.unwrap().unwrap();
        agrees(&made, &below);
        assert_eq!((made.kind.as_str(), made.mode), ("directory", 0o755));
        let link = folder.path().join("link");
        symlink("/nowhere", &link).unwrap();
        assert_eq!(remove(&stage, &link, identity(&link)).await, Ok(None));
        assert!(fs::symlink_metadata(&link).is_err());
    }
}

#[tokio::test]
async fn eight_mebibytes_pass_and_an_endless_file_does_not() {
    let stage = Stage::confined().await;
    let (large, huge) = (stage.path("large"), stage.path("huge"));
    let content: Vec<u8> = (0..8 << 20_u32).map(|i: u32| i.to_le_bytes()[1]).collect();
    agrees(&create(&stage, &large, &content, 0o600).await.unwrap().unwrap(), &large);
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let outcome = write(&stage, &huge, b"x", true, identity(&huge)).await;
    assert!(matches!(outcome, Err(FileFailure::Refused(_))), "{outcome:?}");
    assert_eq!(fs::metadata(&huge).unwrap().len(), 1 << 40);
}

#[tokio::test]
async fn what_exists_is_not_created_and_what_does_not_is_not_written() {
    let stage = Stage::confined().await;
    let (there, missing, dangling) = (stage.path("there"), stage.path("missing"), stage.path("dangling"));
    fs::write(&there, "kept").unwrap();
    symlink(&missing, &dangling).unwrap();
    for path in [&there, &dangling] {
        let outcome = create(&stage, path, b"x", 0o644).await;
        assert!(matches!(outcome, Err(FileFailure::Conflict(_))), "{outcome:?}");
    }
    assert!(!missing.exists() && fs::read(&there).unwrap() == b"kept");
    assert_eq!(write(&stage, &missing, b"x", false, (1, 1)).await, Err(FileFailure::NotFound));
    assert_eq!(remove(&stage, &missing, (1, 1)).await, Err(FileFailure::NotFound));
    assert_eq!(create(&stage, &missing.join("x"), b"x", 0o644).await, Err(FileFailure::NotFound));
    for mode in [0o4755, 0o2755, 0o1777, 0o200_644] {
        assert!(matches!(create(&stage, &missing, b"x", mode).await, Err(FileFailure::Refused(_))), "{mode:o}");
    }
    assert!(!missing.exists());
}

#[tokio::test]
async fn links_and_odd_paths_are_refused() {
    let stage = Stage::confined().await;
    let victim = tempfile::tempdir().unwrap();
    let target = victim.path().join("target");
    fs::write(&target, "kept").unwrap();
    let expect = identity(&target);
    // The folder was swapped for a link to where the very same file is.
    let folder = stage.path("folder");
    symlink(victim.path(), &folder).unwrap();
    let through = folder.join("target");
    // The file was swapped for a link to it.
    let link = stage.path("link");
    symlink(&target, &link).unwrap();
    let magic = Path::new("/proc/self/root").join(target.strip_prefix("/").unwrap());
    for path in [&through, &link, &magic] {
        for append in [false, true] {
            let outcome = write(&stage, path, b"x", append, expect).await;
            assert!(matches!(outcome, Err(FileFailure::Refused(_))), "{}: {outcome:?}", path.display());
        }
    }
    for path in [&through, &magic] {
        assert!(matches!(remove(&stage, path, expect).await, Err(FileFailure::Refused(_))));
    }
    assert!(matches!(remove(&stage, &link, expect).await, Err(FileFailure::Conflict(_))));
    assert!(matches!(create(&stage, &folder.join("new"), b"x", 0o644).await, Err(FileFailure::Refused(_))));
    let into = FileOp::CreateDirectory { path: text(&folder.join("new")) };
    assert!(matches!(perform(&stage, into).await, Err(FileFailure::Refused(_))));
    let dotted = format!("{}/../{}/target", text(victim.path()), victim.path().file_name().unwrap().to_str().unwrap());
    for path in [dotted.as_str(), "relative", "", "/", "/tmp/", "/tmp//x", "/tmp/.", "/tmp/a\0b"] {
        let outcome =
            perform(&stage, FileOp::Write { path: path.into(), content: vec![], append: false, expect }).await;
        assert!(matches!(outcome, Err(FileFailure::Refused(_))), "{path:?}: {outcome:?}");
    }
    assert_eq!(fs::read(&target).unwrap(), b"kept");
    assert_eq!(fs::read_dir(victim.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn another_file_than_the_one_looked_at_is_a_conflict() {
    let stage = Stage::confined().await;
    let (path, aside) = (stage.path("file"), stage.path("aside"));
    fs::write(&path, "old").unwrap();
    let expect = identity(&path);
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "new").unwrap();
    for append in [false, true] {
        assert!(matches!(write(&stage, &path, b"x", append, expect).await, Err(FileFailure::Conflict(_))));
    }
    assert!(matches!(remove(&stage, &path, expect).await, Err(FileFailure::Conflict(_))));
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[tokio::test]
async fn hard_links_fifos_sockets_folders_and_devices_are_refused() {
    let stage = Stage::confined().await;
    let (linked, fifo, socket, folder) = (stage.path("a"), stage.path("fifo"), stage.path("socket"), stage.path("dir"));
    fs::write(&linked, "kept").unwrap();
    fs::hard_link(&linked, stage.path("b")).unwrap();
    fs::create_dir(&folder).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut paths = vec![linked.clone(), fifo, socket, folder];
    if is_root() {
        // A second null device: whoever opens it by mistake does no harm.
        let device = stage.path("device");
        let numbers = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(rustix::fs::CWD, &device, rustix::fs::FileType::CharacterDevice, mode, numbers).unwrap();
        paths.push(device);
    }
    for path in paths {
        let expect = identity(&path);
        for outcome in [
            write(&stage, &path, b"x", false, expect).await,
            write(&stage, &path, b"x", true, expect).await,
            remove(&stage, &path, expect).await,
        ] {
            assert!(matches!(outcome, Err(FileFailure::Refused(_))), "{}: {outcome:?}", path.display());
        }
    }
    assert_eq!(fs::read(&linked).unwrap(), b"kept");
}

#[tokio::test]
async fn effects_are_the_identitys_and_have_its_ancestry() {
    if !is_administrator() {
        skip!("only root can act as somebody else");
    }
    for (level, privileges) in
        [(ShieldLevel::Confined, false), (ShieldLevel::Confined, true), (ShieldLevel::Open, false)]
    {
        let stage = Stage::with(level, |spec| {
            spec.identity = Some(nobody());
            spec.privileges = privileges;
        })
        .await;
        let roots = tempfile::tempdir().unwrap();
        fs::set_permissions(roots.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = roots.path().join("file");
        fs::write(&path, "kept").unwrap();
        assert!(matches!(create(&stage, &roots.path().join("new"), b"x", 0o644).await, Err(FileFailure::Forbidden(_))));
        assert!(matches!(write(&stage, &path, b"x", false, identity(&path)).await, Err(FileFailure::Forbidden(_))));
        assert!(matches!(remove(&stage, &path, identity(&path)).await, Err(FileFailure::Forbidden(_))));
        let made = create(&stage, &stage.path("mine"), b"x", 0o644).await.unwrap().unwrap();
        assert_eq!((made.uid, made.gid), (65534, 65534));
        assert_eq!(stage.run.tree().children.len(), 4, "each effect is a process of the tree");
    }
}
