use super::*;

fn setting(path: PathBuf) -> UnixSocket {
    UnixSocket { path, mode: 0o620 }
}

async fn fault(setting: &UnixSocket) -> String {
    Socket::bind(setting).await.expect_err("a fault")
}

#[tokio::test]
async fn what_a_dead_process_left_is_replaced_and_ours_goes_with_us() {
    let dir = tempfile::tempdir().unwrap();
    let setting = setting(dir.path().join("api.sock"));
    drop(std::os::unix::net::UnixListener::bind(&setting.path).unwrap());
    assert!(setting.path.exists());

    let socket = Socket::bind(&setting).await.unwrap();
    assert_eq!(fs::metadata(&setting.path).unwrap().permissions().mode() & 0o7777, 0o620);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left in the folder");
    let (_stream, raw) = tokio::join!(UnixStream::connect(&setting.path), socket.accept());
    let (_, peer) = socket.open(raw.unwrap()).await.unwrap();
    let own = fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(peer.unix.as_ref().map(|unix| unix.uid), Some(own));
    assert!(peer.address.is_none() && !peer.encrypted);
    drop(socket);
    assert!(!setting.path.exists());
}

#[tokio::test]
async fn what_is_in_use_or_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let taken = setting(dir.path().join("api.sock"));
    let socket = Socket::bind(&taken).await.unwrap();
    let text = fault(&taken).await;
    assert!(text.starts_with("api.unix_socket: /") && text.contains("is taken by another process"), "{text}");

    // A successor that did not ask has its file still.
    fs::remove_file(&taken.path).unwrap();
    let successor = std::os::unix::net::UnixListener::bind(&taken.path).unwrap();
    drop(socket);
    assert!(taken.path.exists());
    drop(successor);

    let file = setting(dir.path().join("file"));
    fs::write(&file.path, "kept").unwrap();
    let link = setting(dir.path().join("link"));
    std::os::unix::fs::symlink(&taken.path, &link.path).unwrap();
    for other in [&file, &link, &setting(dir.path().to_owned())] {
        let text = fault(other).await;
        assert!(text.contains("is there and is no socket"), "{text}");
    }
    assert_eq!(fs::read_to_string(&file.path).unwrap(), "kept");
    let nowhere = fault(&setting(dir.path().join("no/such/api.sock"))).await;
    assert!(nowhere.contains("cannot be made: "), "{nowhere}");
}
