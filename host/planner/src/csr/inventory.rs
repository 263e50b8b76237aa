//! Which machine is which node, and which names and addresses are whose.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_model::{AddressKind, Machine, Snapshot, Text, Timestamp};

use super::name::canonical;

/// The machines of a snapshot by what they are called.
#[derive(Debug)]
pub(super) struct Inventory<'a> {
    machines: Vec<Entry<'a>>,
    by_node: HashMap<String, Vec<usize>>,
    by_name: HashMap<String, Vec<usize>>,
    by_address: HashMap<IpAddr, Vec<usize>>,
}

#[derive(Debug)]
struct Entry<'a> {
    machine: &'a Machine,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    /// Something says which node it is or will be.
    named: bool,
}

/// Which machine is the node of a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    One(Launched<'a>),
    /// Two that both would be it.
    Several(&'a Text, &'a Text),
    None,
}

/// A machine with its place in the inventory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Launched<'a> {
    pub machine: &'a Machine,
    at: usize,
}

// === impl Inventory ===

impl<'a> Inventory<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut inventory = Self {
            machines: snapshot.machines().iter().map(Entry::of).collect(),
            by_node: HashMap::new(),
            by_name: HashMap::new(),
            by_address: HashMap::new(),
        };
        for (at, entry) in inventory.machines.iter().enumerate() {
            for node in entry.nodes() {
                add(&mut inventory.by_node, node, at);
            }
            for name in entry.names.iter().cloned().chain(entry.nodes()) {
                add(&mut inventory.by_name, name, at);
            }
            for address in &entry.addresses {
                add(&mut inventory.by_address, *address, at);
            }
        }
        inventory
    }

    pub(super) fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    /// The machine that is the node of this name, or will be.
    pub(super) fn find(&self, node: &str) -> Found<'a> {
        match self.by_node.get(node).map(Vec::as_slice) {
            Some([at]) => Found::One(Launched { machine: self.machines[*at].machine, at: *at }),
            Some([first, second, ..]) => {
                Found::Several(&self.machines[*first].machine.name, &self.machines[*second].machine.name)
            }
            _ => Found::None,
        }
    }

    /// A machine launched after a moment of which nothing says yet which node it will be.
    pub(super) fn nameless(&self, after: Timestamp) -> Option<&'a Machine> {
        let young = |machine: &Machine| machine.created.is_none_or(|created| created >= after);
        let fits = |entry: &&Entry<'a>| !entry.named && !entry.machine.deleting && young(entry.machine);
        self.machines.iter().find(fits).map(|entry| entry.machine)
    }

    /// True if the inventory knows any name or address of the machine beyond that of its node.
    pub(super) fn describes(&self, machine: Launched<'a>) -> bool {
        let entry = &self.machines[machine.at];
        !entry.names.is_empty() || !entry.addresses.is_empty()
    }

    /// True if the inventory gives this machine the name, compared in canonical form.
    pub(super) fn has_name(&self, machine: Launched<'a>, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|all| all.contains(&machine.at))
    }

    /// True if the inventory gives this machine the address.
    pub(super) fn has_address(&self, machine: Launched<'a>, address: IpAddr) -> bool {
        self.by_address.get(&address).is_some_and(|all| all.contains(&machine.at))
    }

    /// Another machine with the name.
    pub(super) fn other_with_name(&self, machine: Option<Launched<'a>>, name: &str) -> Option<&'a Machine> {
        self.other(machine, self.by_name.get(name))
    }

    /// Another machine with the address.
    pub(super) fn other_with_address(&self, machine: Option<Launched<'a>>, address: IpAddr) -> Option<&'a Machine> {
        self.other(machine, self.by_address.get(&address))
    }

    fn other(&self, machine: Option<Launched<'a>>, all: Option<&Vec<usize>>) -> Option<&'a Machine> {
        let own = machine.map(|machine| machine.at);
        all?.iter().find(|at| Some(**at) != own).map(|at| self.machines[*at].machine)
    }
}

fn add<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<usize>>, key: K, at: usize) {
    let all = index.entry(key).or_default();
    if all.last() != Some(&at) {
        all.push(at);
    }
}

// === impl Entry ===

impl<'a> Entry<'a> {
    fn of(machine: &'a Machine) -> Self {
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        for address in &machine.addresses {
            // Kubelets ask for an address wherever their name is one.
            match address.value.parse::<IpAddr>() {
                Ok(known) => addresses.push(known.to_canonical()),
                Err(_) if address.kind != AddressKind::Ip => names.push(canonical(&address.value)),
                Err(_) => {}
            }
        }
        let own_name = machine.addresses.iter().any(|address| address.kind == AddressKind::Dns);
        Self { machine, names, addresses, named: machine.node.is_some() || own_name }
    }

    /// The names that its node may have. A machine that has become a node is that node and no other, whatever it is
    /// called; what others call it from outside is no name of its node; and its name in the inventory counts only
    /// where no other is known.
    fn nodes(&self) -> Vec<String> {
        if let Some(node) = &self.machine.node {
            return vec![node.to_string()];
        }
        let own = self.machine.addresses.iter().filter(|address| address.kind == AddressKind::Dns);
        let own: Vec<String> = own.map(|address| canonical(&address.value)).collect();
        if own.is_empty() { vec![self.machine.name.to_string()] } else { own }
    }
}
