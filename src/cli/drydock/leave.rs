//! `drydock leave`: out of the class, whether its hub is there or not.

use super::{Outcome, boxed};
use crate::learn::Home;
use crate::workshop::{Error, Fact, Member, carry};

/// Says goodbye if the hub is there, and forgets the class.
pub fn run() -> Outcome {
    let home = Home::find().map_err(boxed)?;
    Member::change(&home, |m| m.tell(Fact::Left)).map_err(boxed)?.ok_or_else(|| boxed(Error::NoClass))?;
    let sent = carry::send(&home);
    let left = Member::read(&home).map_err(boxed)?.map_or(0, |m| m.pending.len());
    Member::forget(&home).map_err(boxed)?;
    match sent {
        Ok(_) => println!("You have left the class. Your progress in the course is as it was."),
        // The goodbye itself is one of them.
        Err(e) => println!("You have left the class. It was not told: {e}; {} more is not sent.", left.saturating_sub(1)),
    }
    Ok(0)
}
