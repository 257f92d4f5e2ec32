//! Secrets and configs that are no files of the host are written into the container before its first
//! start, by a process that sees its files and nothing else (as `cp` does): no link in the image leads
//! the writing out. They go with the container.

use super::service::Written;
use crate::engine::Error;
use crate::engine::container::Container;
use crate::engine::copy::{Visit, Work};
use crate::engine::step::StepError;
use crate::kernel::OrSys;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes them all.
pub fn write(container: &Container, files: &[Written]) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    let work: Work<'_> = Box::new(|| files.iter().try_for_each(one).map(|()| String::new()));
    Visit::begin(container, work)?.end().map(drop)
}

fn one(file: &Written) -> Result<(), StepError> {
    let what = || format!("write {}", file.target.display());
    let folder = file.target.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).or_sys_with(what)?;
    let mut open = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&file.target).or_sys_with(what)?;
    open.write_all(file.content.as_bytes()).or_sys_with(what)?;
    std::os::unix::fs::fchown(&open, Some(file.uid), Some(file.gid)).or_sys_with(what)?;
    open.set_permissions(std::fs::Permissions::from_mode(file.mode)).or_sys_with(what)?;
    Ok(())
}
