//! Which pods a rule of another pod is about.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{LabelSelector, LabelSet, PodAffinityTerm, Text};

use crate::PodClass;

/// The labels of every namespace that is known.
pub(crate) type Namespaces = HashMap<Text, Arc<LabelSet>>;

/// The pods that one term of pod affinity or anti-affinity selects. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Selection(Arc<Selected>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Selected {
    /// Namespaces by name.
    namespaces: Vec<Text>,
    /// Namespaces by their labels; the empty selector stands for all.
    namespace_selector: Option<LabelSelector>,
    /// Pods; `None` selects none.
    selector: Option<LabelSelector>,
}

impl Selection {
    /// The selection of a term of a pod in this namespace.
    pub(crate) fn of(term: &PodAffinityTerm, own_namespace: &Text) -> Self {
        let own = term.namespaces.is_empty() && term.namespace_selector.is_none();
        let mut namespaces = if own { vec![own_namespace.clone()] } else { term.namespaces.clone() };
        namespaces.sort_unstable();
        namespaces.dedup();
        Self(Arc::new(Selected {
            namespaces,
            namespace_selector: term.namespace_selector.clone(),
            selector: term.selector.clone(),
        }))
    }

    /// The namespaces it is limited to by name; `None` if labels decide as well.
    pub(crate) fn named_namespaces(&self) -> Option<&[Text]> {
        self.0.namespace_selector.is_none().then_some(&self.0.namespaces)
    }

    /// True if a pod with this term selects pods of this class. Of a namespace that is not known, only a selector
    /// that stands for all selects any (`mergeAffinityTermNamespacesIfNotEmpty` of kube-scheduler).
    pub(crate) fn selects(&self, class: &PodClass, known: &Namespaces) -> bool {
        self.covers(class, |selector| {
            let everywhere = selector.match_labels.is_empty() && selector.match_expressions.is_empty();
            everywhere || known.get(&class.namespace).is_some_and(|labels| selector.matches(labels))
        })
    }

    /// True if a pod that is there already, with this term of anti-affinity, repels pods of this class. A namespace
    /// that is not known counts as one without labels (`GetNamespaceLabelsSnapshot` of kube-scheduler).
    pub(crate) fn repels(&self, class: &PodClass, known: &Namespaces) -> bool {
        self.covers(class, |selector| match known.get(&class.namespace) {
            Some(labels) => selector.matches(labels),
            None => selector.matches(&LabelSet::default()),
        })
    }

    fn covers(&self, class: &PodClass, by_label: impl Fn(&LabelSelector) -> bool) -> bool {
        let Selected { namespaces, namespace_selector, selector } = &*self.0;
        let Some(selector) = selector else { return false };
        (namespaces.contains(&class.namespace) || namespace_selector.as_ref().is_some_and(by_label))
            && selector.matches(&class.labels)
    }
}
