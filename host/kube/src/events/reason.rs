//! What Events can say. Reasons are part of the interface: alerts and scripts look for them.

/// What happened. The names follow `ocean-features.md` 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventReason {
    /// A pod stays without a node, for a reason of the planner.
    Pending(&'static str),
    /// A pod is among those that a launch is for.
    LaunchPlanned,
    /// A pod will have room on a node that exists or starts.
    NodePlanned,
    /// A launch failed.
    LaunchFailed,
    /// A node was launched.
    NodeLaunched,
    /// A launched node is there.
    NodeJoined,
    /// A launched node is not there in time.
    NodeNotJoined,
    /// The object of a node whose machine is gone was deleted.
    NodeObjectDeleted,
    /// A node stays, for a reason of the planner.
    Kept(&'static str),
    /// A node is being drained.
    NodeDraining,
    /// A pod was evicted.
    PodEvicted,
    /// The machine of a drained node is being removed.
    NodeTerminating,
    /// A drained node is empty, and nobody removes its machine.
    NodeDrained,
    /// A drained node is gone.
    NodeRemoved,
    /// A drain was taken back: the node is used again.
    DrainCancelled,
    /// A leader goes on with the drain of another one.
    DrainResumed,
    /// The replacement of a pod is started before the pod is evicted.
    WarmupStarted,
    /// That replacement is ready.
    WarmupReady,
    /// A pod cannot be evicted now.
    EvictionBlocked,
    /// A pod was deleted because its eviction was refused for too long.
    ForceDeleted,
    /// A node was removed with pods that were still on it.
    TerminatedWithPods,
    /// A replacement was not ready when its time was over.
    WarmupCutShort,
    /// A pod asks for a warm-up that cannot be had.
    WarmupUnsupported,
    /// The only replica of something was evicted without a warm-up.
    NoWarmup,
    /// A drained node could not be removed.
    RemovalFailed,
    /// The cloud takes a node back.
    NodeInterrupted,
    /// A signing request was approved.
    CsrApproved,
    /// A signing request was denied.
    CsrDenied,
    /// A signing request was left for somebody else.
    CsrLeft,
    /// A policy was loaded.
    PluginLoaded,
    /// A policy cannot be used.
    PluginRejected,
    /// A configuration cannot be used; the one before goes on.
    ConfigRejected,
    /// The provider does not accept the credentials.
    ProviderUnauthorized,
    /// The subnets of a group have no addresses left.
    NoFreeIps,
    /// A permission or an API is missing.
    FeatureOff,
    /// Another autoscaler is in charge of the same nodes.
    RivalAutoscaler,
    /// A replica leads.
    LeaderElected,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Good to know.
    Normal,
    /// Somebody should look.
    Warning,
}

impl EventReason {
    /// The name in the Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending(label) => label,
            Self::LaunchPlanned => "LaunchPlanned",
            Self::NodePlanned => "NodePlanned",
            Self::LaunchFailed => "LaunchFailed",
            Self::NodeLaunched => "NodeLaunched",
            Self::NodeJoined => "NodeJoined",
            Self::NodeNotJoined => "NodeNotJoined",
            Self::NodeObjectDeleted => "NodeObjectDeleted",
            Self::Kept(label) => label,
            Self::NodeDraining => "NodeDraining",
            Self::PodEvicted => "PodEvicted",
            Self::NodeTerminating => "NodeTerminating",
            Self::NodeDrained => "NodeDrained",
            Self::NodeRemoved => "NodeRemoved",
            Self::DrainCancelled => "DrainCancelled",
            Self::DrainResumed => "DrainResumed",
            Self::WarmupStarted => "WarmupStarted",
            Self::WarmupReady => "WarmupReady",
            Self::EvictionBlocked => "EvictionBlocked",
            Self::ForceDeleted => "ForceDeleted",
            Self::TerminatedWithPods => "TerminatedWithPods",
            Self::WarmupCutShort => "WarmupCutShort",
            Self::WarmupUnsupported => "WarmupUnsupported",
            Self::NoWarmup => "NoWarmup",
            Self::RemovalFailed => "RemovalFailed",
            Self::NodeInterrupted => "NodeInterrupted",
            Self::CsrApproved => "CsrApproved",
            Self::CsrDenied => "CsrDenied",
            Self::CsrLeft => "CsrLeft",
            Self::PluginLoaded => "PluginLoaded",
            Self::PluginRejected => "PluginRejected",
            Self::ConfigRejected => "ConfigRejected",
            Self::ProviderUnauthorized => "ProviderUnauthorized",
            Self::NoFreeIps => "NoFreeIPs",
            Self::FeatureOff => "FeatureOff",
            Self::RivalAutoscaler => "RivalAutoscaler",
            Self::LeaderElected => "LeaderElected",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::LaunchPlanned
            | Self::NodePlanned
            | Self::NodeLaunched
            | Self::NodeJoined
            | Self::NodeObjectDeleted
            | Self::Kept(_)
            | Self::NodeDraining
            | Self::PodEvicted
            | Self::NodeTerminating
            | Self::NodeDrained
            | Self::NodeRemoved
            | Self::DrainCancelled
            | Self::DrainResumed
            | Self::WarmupStarted
            | Self::WarmupReady
            | Self::CsrApproved
            | Self::CsrLeft
            | Self::PluginLoaded
            | Self::LeaderElected => Severity::Normal,
            Self::Pending(_)
            | Self::LaunchFailed
            | Self::NodeNotJoined
            | Self::EvictionBlocked
            | Self::ForceDeleted
            | Self::TerminatedWithPods
            | Self::WarmupCutShort
            | Self::WarmupUnsupported
            | Self::NoWarmup
            | Self::RemovalFailed
            | Self::NodeInterrupted
            | Self::CsrDenied
            | Self::PluginRejected
            | Self::ConfigRejected
            | Self::ProviderUnauthorized
            | Self::NoFreeIps
            | Self::FeatureOff
            | Self::RivalAutoscaler => Severity::Warning,
        }
    }

    /// What the controller was doing (`action`).
    pub fn action(self) -> &'static str {
        match self {
            Self::Pending(_) | Self::LaunchPlanned | Self::NodePlanned => "Plan",
            Self::LaunchFailed | Self::NodeLaunched | Self::ProviderUnauthorized | Self::NoFreeIps => "Launch",
            Self::NodeJoined | Self::NodeNotJoined => "Join",
            Self::NodeObjectDeleted => "CleanUp",
            Self::Kept(_) => "Plan",
            Self::NodeDraining
            | Self::PodEvicted
            | Self::NodeTerminating
            | Self::NodeDrained
            | Self::NodeRemoved
            | Self::DrainCancelled
            | Self::DrainResumed
            | Self::WarmupStarted
            | Self::WarmupReady
            | Self::EvictionBlocked
            | Self::ForceDeleted
            | Self::TerminatedWithPods
            | Self::WarmupCutShort
            | Self::WarmupUnsupported
            | Self::NoWarmup
            | Self::RemovalFailed
            | Self::NodeInterrupted => "Drain",
            Self::CsrApproved | Self::CsrDenied | Self::CsrLeft => "Approve",
            Self::PluginLoaded | Self::PluginRejected | Self::ConfigRejected => "Load",
            Self::FeatureOff | Self::RivalAutoscaler => "Check",
            Self::LeaderElected => "Elect",
        }
    }
}

impl Severity {
    /// `type` of the Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}
