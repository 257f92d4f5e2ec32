//! An image in a registry, fetched as an OCI layout to be looked into, and not kept (OCI image spec,
//! image-layout.md).
//!
//! The bytes go into a file without a name, so nothing is left of them, and become an [`Archive`]:
//! whoever asks for its images or verifies them hashes everything afresh. For `pull` they would be
//! unpacked too; here nobody runs them.

use super::client::Client;
use super::manifest::Platform;
use super::{Error, Settings, pull};
use crate::image::archive::{Archive, nameless};
use crate::image::Reference;
use crate::kernel::OrSys;
use oci_spec::image::Descriptor;
use std::io::{self, Read, Write};
use std::path::Path;

/// Seconds without a byte after which the registry is given up.
const PATIENCE: u64 = 5;

/// Fetches what a name stands for now. `folder` is where the file lies that has no name.
pub fn fetch(reference: &Reference, folder: &Path) -> Result<Archive, Error> {
    let settings = Settings { registry_timeout: Some(PATIENCE), ..Settings::default() };
    let (client, found) = pull::find(reference, &Platform::here(), &settings)?;
    let file = nameless(folder)?;
    let mut tar = tar::Builder::new(&file);
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [found.descriptor] }).to_string();
    put(&mut tar, "index.json".into(), index.len() as u64, index.as_bytes())?;
    put(&mut tar, member(&found.descriptor), found.bytes.len() as u64, found.bytes.as_slice())?;
    for blob in std::iter::once(found.manifest.config()).chain(found.manifest.layers()) {
        put(&mut tar, member(blob), blob.size(), read(&client, blob)?)?;
    }
    tar.finish().or_sys_with(|| format!("write below {}", folder.display()))?;
    drop(tar);
    Ok(Archive::of_tar(file, reference.to_string())?)
}

fn member(blob: &Descriptor) -> String {
    format!("blobs/{}/{}", blob.digest().algorithm().as_ref(), blob.digest().digest())
}

/// A blob's bytes, as many as its descriptor says; one that is shorter ends in zeros, and hashes so.
fn read(client: &Client, blob: &Descriptor) -> Result<impl Read, Error> {
    let response = client.get(&format!("blobs/{}", blob.digest()), Vec::new())?;
    if response.status().as_u16() != 200 {
        return Err(client.refusal(&format!("read the blob {}", blob.digest()), "pull", response));
    }
    Ok(response.into_body().into_reader().chain(io::repeat(0)).take(blob.size()))
}

fn put<W: Write>(tar: &mut tar::Builder<W>, name: String, size: u64, bytes: impl Read) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    tar.append_data(&mut header, &name, bytes).or_sys_with(|| format!("fetch {name}"))?;
    Ok(())
}
