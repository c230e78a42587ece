//! A machine that is enrolled at a box of its own.

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
};

use alfarid_agent::feed::SOCKET;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::ServerConfig;
use tempfile::TempDir;

use crate::{
    process::{Process, enrol, message},
    site::{NOWADAYS, Site},
    the_box::TheBox,
    within,
};

pub(crate) struct Enrolled {
    pub(crate) dir: TempDir,
    pub(crate) the_box: TheBox,
    /// What the box's agent port answers with.
    pub(crate) tls: Arc<ServerConfig>,
}

impl Enrolled {
    pub(crate) async fn machine() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(NOWADAYS);
        let tls = site.server_config(ExtendedKeyUsagePurpose::ServerAuth);
        let mut the_box = TheBox::listen(Arc::clone(&tls)).await;
        let token = site.token(&[the_box.address.clone()]);
        let state = dir.path().join("state");
        let (output, ()) = tokio::join!(enrol(&state, &token, &[]), the_box.enrol(&site));
        assert!(output.status.success(), "{}", message(&output));
        Self { dir, the_box, tls }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.dir.path().join("runtime")
    }

    pub(crate) fn agent(&self) -> Process {
        Process::agent(&self.state(), &self.runtime())
    }

    pub(crate) async fn player_socket(&self) -> UnixStream {
        player_socket(&self.runtime()).await
    }
}

/// Connects to the player's socket as soon as it is there.
pub(crate) async fn player_socket(runtime: &Path) -> UnixStream {
    let path = runtime.join(SOCKET);
    within("the player's socket", async {
        loop {
            match UnixStream::connect(&path) {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}
