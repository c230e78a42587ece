//! The pages are compiled into the binary: built anew, they make it anew.

fn main() {
    println!("cargo::rerun-if-changed=../web-admin/dist");
}
