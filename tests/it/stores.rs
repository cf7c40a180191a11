//! Stores: one contract, kept by all of them.

mod child;
mod contract;
mod faults;
mod local;
mod measure;
mod network;

use std::path::Path;

use seawall::store::{Faults, Place, Settings, Store};

pub fn local(path: &Path) -> Store {
    Store::open(&Settings::new(Place::Local { path: path.to_owned() })).expect("it opens")
}

#[test]
fn local_keeps_the_contract() {
    let directory = tempfile::tempdir().expect("a directory");
    contract::kept_by(&local(directory.path()));
}

#[test]
fn faults_that_pass_are_hidden() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults: Faults = "nth=1,kind=transient,on=put-new; nth=3,kind=after-commit,on=put-new; nth=2,kind=throttled,on=replace; \
                          nth=2,kind=timeout,on=piece; nth=5,times=2,kind=transient,on=piece; nth=1,kind=after-commit,on=finish; \
                          nth=2,kind=transient,on=finish; nth=1,kind=transient,on=head; nth=2,kind=truncated,on=get; \
                          nth=1,kind=truncated,on=get-range; nth=2,times=3,kind=truncated,on=read; nth=7,kind=transient,on=read; \
                          nth=1,kind=transient,on=list; nth=2,kind=timeout,on=delete; nth=1,kind=transient,on=begin; patience=30"
        .parse()
        .expect("good");
    let tally = faults.tally();
    contract::kept_by(&Store::faulty(local(directory.path()), faults));
    assert!(tally.calls() > 100, "{}", tally.calls());
}
