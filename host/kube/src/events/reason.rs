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
            | Self::CsrApproved
            | Self::CsrLeft
            | Self::PluginLoaded
            | Self::LeaderElected => Severity::Normal,
            Self::Pending(_)
            | Self::LaunchFailed
            | Self::NodeNotJoined
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
