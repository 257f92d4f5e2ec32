//! ONBUILD: instructions that a base left for those who build on it (Dockerfile reference, "ONBUILD").
//!
//! An image's config may come from anywhere, so what a Dockerfile may not say is not taken from there
//! either: each trigger is read by itself, and is one instruction. A stage's are read in the same way
//! when another stage begins with it.

use super::Error;
use super::dockerfile::{Dockerfile, Fault, What};

/// The triggers of the base called `base`, each as a file.
pub fn parse(base: &str, triggers: impl IntoIterator<Item = String>) -> Result<Vec<Dockerfile>, Error> {
    let name = format!("ONBUILD of {base}");
    triggers.into_iter().map(|text| one(&name, &text)).collect()
}

fn one(name: &str, text: &str) -> Result<Dockerfile, Error> {
    let wrong = |fault: &Fault| Error::fault(fault, name, text);
    let file = Dockerfile::parse(name, text).map_err(|fault| wrong(&fault))?;
    let [instruction] = file.instructions.as_slice() else {
        return Err(wrong(&Fault::whole(format!("a trigger is one instruction, and this is {}", file.instructions.len()))));
    };
    let keyword = match instruction.what {
        What::From { .. } => "FROM",
        What::OnBuild(_) => "ONBUILD",
        What::Maintainer(_) => "MAINTAINER",
        _ => return Ok(file),
    };
    Err(wrong(&Fault::at(instruction.line.keyword_span(), format!("{keyword} isn't allowed as an ONBUILD trigger"))))
}
