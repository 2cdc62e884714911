//! Files that decide what Foil does with the rights of whoever runs it: read only where nobody else can have written or chosen them.

use anyhow::{Context as _, bail};
use foil_safe_path::trust::follow;
use foil_text::Shown as _;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Reads a file that decides what Foil does with our rights, after making sure that nobody else can have written it.
pub fn read_trusted(path: &Path, most: usize) -> anyhow::Result<String> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    // A FIFO of that name must not hang us.
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .with_context(|| format!("cannot open {}", path.shown()))?;
    check_trusted(path, &file)?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.shown()))?;
    if bytes.len() > most {
        bail!("{} has more than {most} bytes", path.shown());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(e) => {
            let place = foil_text::place(
                &String::from_utf8_lossy(e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default()),
                e.utf8_error().valid_up_to(),
            );
            bail!("{}:{place}: this is no UTF-8", path.shown())
        }
    }
}

/// Refuses a file that somebody else can write, or put another one in the place of: every folder and every symbolic link on the
/// way to it counts, and the end of the way must be the file that is open.
fn check_trusted(path: &Path, file: &File) -> anyhow::Result<()> {
    let open = file.metadata().with_context(|| format!("cannot look at {}", path.shown()))?;
    if !open.is_file() {
        bail!("{} is no regular file", path.shown());
    }
    let found = follow(path)?;
    if (found.dev(), found.ino()) != (open.dev(), open.ino()) {
        bail!("{} was replaced while it was read: somebody else changes what Foil is to obey", path.shown());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("writable");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    }

    #[test]
    fn what_others_may_write_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("grants.toml");
        write(&path, "", 0o644);
        assert!(read_trusted(&path, 10).is_ok());
        write(&path, "", 0o646);
        assert!(read_trusted(&path, 10).expect_err("writable by all").to_string().contains("chmod"));
        write(&path, "", 0o644);
        if rustix::process::geteuid().is_root() {
            write(&path, "", 0o664);
            assert!(read_trusted(&path, 10).is_err());
            write(&path, "", 0o644);
            chown(&path, Some(65534), None).expect("root");
            assert!(read_trusted(&path, 10).expect_err("another's").to_string().contains("65534"));
            chown(&path, Some(0), None).expect("root");
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("ours");
        assert!(read_trusted(&path, 10).is_err());
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o1777)).expect("ours");
        assert!(read_trusted(&path, 10).is_ok());
    }

    #[test]
    fn only_small_regular_text_files_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read_trusted(folder.path(), 10).is_err());
        let path = folder.path().join("x");
        write(&path, "12345678901", 0o600);
        assert!(read_trusted(&path, 10).is_err());
        std::fs::write(&path, b"a\nb\xff").expect("writable");
        assert!(read_trusted(&path, 10).expect_err("no text").to_string().contains("x:2:2: "));
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("makeable");
        assert!(read_trusted(&fifo, 10).expect_err("a FIFO").to_string().contains("no regular file"));
    }

    #[test]
    fn every_folder_and_link_on_the_way_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |name: &str, mode| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).expect("writable");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
            path
        };
        let (ours, shared, sticky) = (mode("ours", 0o755), mode("shared", 0o777), mode("sticky", 0o1777));
        let file = ours.join("foil.yaml");
        write(&file, "environment: x\n", 0o644);
        // A link of ours, relative or absolute, in a folder of ours or a sticky one.
        symlink(&file, ours.join("absolute")).expect("writable");
        symlink("../ours/foil.yaml", ours.join("relative")).expect("writable");
        symlink(&file, sticky.join("link")).expect("writable");
        for link in [ours.join("absolute"), ours.join("relative"), sticky.join("link")] {
            assert!(read_trusted(&link, 100).is_ok(), "{}", link.shown());
        }
        // A folder that all may write holds the link, a link to a folder, or a folder above the file.
        symlink(&file, shared.join("link")).expect("writable");
        symlink(&ours, shared.join("folder")).expect("writable");
        let below = mode("shared/below", 0o755).join("foil.yaml");
        write(&below, "", 0o644);
        symlink(shared.join("link"), ours.join("through")).expect("writable");
        symlink("loop", ours.join("loop")).expect("writable");
        for way in [shared.join("link"), shared.join("folder/foil.yaml"), below, ours.join("through")] {
            let error = read_trusted(&way, 100).expect_err("refused").to_string();
            assert!(error.contains("/shared has mode 777"), "{error}");
        }
        assert!(read_trusted(&ours.join("loop"), 100).is_err());
        // Somebody else's link in a sticky folder points where they like.
        if rustix::process::geteuid().is_root() {
            lchown(sticky.join("link"), Some(65534), None).expect("root");
            let error = read_trusted(&sticky.join("link"), 100).expect_err("refused").to_string();
            assert!(error.contains("link belongs to uid 65534"), "{error}");
        }
    }
}
