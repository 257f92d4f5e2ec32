//! Docker's defaults as OCI runtime values: capabilities, masked and read-only paths, device rules.
