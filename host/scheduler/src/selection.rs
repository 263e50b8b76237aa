//! Which pods a rule of another pod is about.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{LabelSelector, LabelSet, PodAffinityTerm, Text};

use crate::PodClass;

/// The labels of every namespace that is known.
pub(crate) type Namespaces = HashMap<Text, Arc<LabelSet>>;

/// The pods that one term of pod affinity or anti-affinity selects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Selection {
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
        Self {
            namespaces: if own { vec![own_namespace.clone()] } else { term.namespaces.clone() },
            namespace_selector: term.namespace_selector.clone(),
            selector: term.selector.clone(),
        }
    }

    /// The namespaces it is limited to by name; `None` if labels decide as well.
    pub(crate) fn named_namespaces(&self) -> Option<&[Text]> {
        self.namespace_selector.is_none().then_some(&self.namespaces)
    }

    /// True if it selects pods of this class.
    pub(crate) fn selects(&self, class: &PodClass, known: &Namespaces) -> bool {
        let Some(selector) = &self.selector else { return false };
        (self.namespaces.contains(&class.namespace) || self.by_label(&class.namespace, known))
            && selector.matches(&class.labels)
    }

    fn by_label(&self, namespace: &Text, known: &Namespaces) -> bool {
        self.namespace_selector.as_ref().is_some_and(|selector| {
            let everywhere = selector.match_labels.is_empty() && selector.match_expressions.is_empty();
            everywhere || known.get(namespace).is_some_and(|labels| selector.matches(labels))
        })
    }
}
