//! OCI content: store, layers, references. Knows no process (OCI image spec).
