//! `-v`, `--mount` and `--tmpfs`: what is mounted into a container, as Docker's command line has it.

use crate::engine::error::Error;
use crate::engine::given::{mount, tmpfs, volume};
use crate::engine::request::Request;

/// What of the command line says it; the same for `run` and `create`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Mounts {
    /// A volume, or a path of the host, inside; without a source, a volume that goes with --rm
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// The volumes of another container
    #[arg(long, value_name = "CONTAINER[:ro]")]
    volumes_from: Vec<String>,
    /// The same, spelled out: type=volume|bind|tmpfs,source=…,target=…[,readonly][,volume-nocopy]
    #[arg(long, value_name = "OPTIONS")]
    mount: Vec<String>,
    /// A directory in memory
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    tmpfs: Vec<String>,
}

impl Mounts {
    /// True if others than this process may change what lies there.
    pub fn shared(&self) -> bool {
        !(self.volume.is_empty() && self.volumes_from.is_empty() && self.mount.is_empty())
    }

    /// Puts it into a request.
    pub fn ask(&self, request: &mut Request) -> Result<(), Error> {
        for text in &self.volume {
            volume(text, request)?;
        }
        for spec in &self.tmpfs {
            request.tmpfs.push(tmpfs(spec)?);
        }
        for spec in &self.mount {
            mount(spec, request)?;
        }
        for from in &self.volumes_from {
            if !matches!(from.split_once(':'), None | Some((_, "ro" | "rw"))) {
                return Err(super::run::option("--volumes-from", from, "after the : comes ro or rw", "--volumes-from web:ro"));
            }
        }
        request.volumes_from.clone_from(&self.volumes_from);
        Ok(())
    }
}
