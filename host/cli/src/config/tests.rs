//! What the configuration makes of what people write.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failing test")]

use std::fs;

use plimsoll_model::{
    BlockDevice, Bytes, DynamicAmount, ForceDelete, Lifecycle, MilliCpu, Millis, NodeGroup, Os, Price, SizedBy,
    TaintEffect,
};

use plimsoll_planner::drain::{BudgetArithmetic, DrainabilityRules, RulesPreset};

use super::Config;

/// A catalogue with network interfaces, under the headers of two sources.
const CATALOG: &str = "instance_type,vcpu,memory_mib,max_pods,price_on_demand_usd_per_h,price_spot_usd_per_h,max_enis,default_card_enis,ipv4_per_eni
m5.large,2,8192,29,0.096,0.035,9,3,10
m5.free,2,8192,,0.1,,,3,10
t3.one,2,8192,4,0.01,,,1,4
plain,2,8192,,0.1,,,,
";

fn read(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plimsoll.yaml");
    fs::write(folder.path().join("types.csv"), CATALOG).unwrap();
    fs::write(&path, text).unwrap();
    Config::read(&path).map_err(|error| {
        let error = error.to_string();
        assert!(error.contains("plimsoll.yaml"), "{error}");
        error
    })
}

/// A group with more keys, and the file with more sections.
fn with(group: &str, sections: &str) -> String {
    let types = if group.contains("instanceTypes") { "" } else { "instanceTypes: [m5.large], " };
    let zones = if group.contains("zones") || group.contains("subnets") { "" } else { "zones: [a, b], " };
    format!("catalog: types.csv\nnodeGroups: [{{name: g, max: 5, {zones}{types}{group}}}]\n{sections}\n")
}

fn group(group: &str, sections: &str) -> NodeGroup {
    let mut config = read(&with(group, sections)).unwrap();
    config.scale_up.groups.swap_remove(0)
}

/// Scenario 15, and what takes part in it.
#[test]
fn pods_by_addresses_settings_and_types() {
    for (types, keys, sections, pods) in [
        ("m5.large", "", "", &[29][..]),
        ("m5.large", "reservedENIs: 1", "", &[20]),
        ("m5.large", "", "network: {reservedENIs: 1}", &[20]),
        ("m5.large", "reservedENIs: 2", "network: {reservedENIs: 1}", &[11]),
        ("m5.large", "reservedENIs: 0", "network: {reservedENIs: 1}", &[29]),
        ("m5.large, t3.one", "reservedENIs: 1", "", &[20]),
        ("m5.large, plain", "reservedENIs: 1", "", &[20, 110]),
        ("m5.large, m5.free, plain", "", "", &[29, 29, 110]),
        ("m5.large, plain", "maxPods: 25", "", &[25, 25]),
        ("m5.large, plain", "maxPods: 100", "", &[29, 100]),
        ("m5.large", "reservedENIs: 1, maxPods: 12", "", &[12]),
        ("m5.large", "maxPods: 12", "network: {maxPods: 8}", &[12]),
        ("m5.large", "", "network: {maxPods: 8}", &[8]),
        ("{name: x, vcpu: 2, memoryMib: 4096, enis: 3, ipsPerEni: 10}", "reservedENIs: 1", "", &[20]),
        ("{name: x, vcpu: 2, memoryMib: 4096, enis: 3, ipsPerEni: 10, maxPods: 17}", "reservedENIs: 1", "", &[17]),
    ] {
        let group = group(&format!("instanceTypes: [{types}], {keys}"), sections);
        let found: Vec<u64> = group.instance_types.iter().map(|known| known.max_pods).collect();
        assert_eq!(found, pods, "{types} {keys} {sections}");
        assert_eq!(
            group.pods_limited,
            keys.contains("maxPods")
                || sections.contains("maxPods")
                || found.contains(&20)
                || found.contains(&11)
                || found.contains(&17)
        );
    }
}

#[test]
fn what_has_no_effect_or_costs_a_type_is_a_warning() {
    for (group, sections, warnings) in [
        ("", "", &[][..]),
        (
            "instanceTypes: [m5.large, t3.one], reservedENIs: 1",
            "",
            &["nodeGroups[0].instanceTypes[1]: t3.one has 1 network interfaces and 1 are reserved; it is left out"],
        ),
        (
            "instanceTypes: [plain], reservedENIs: 1",
            "",
            &[
                "nodeGroups[0].instanceTypes[0]: how many network interfaces plain has is not known; reservedENIs has no effect on it",
            ],
        ),
        (
            "maxPods: 110",
            "",
            &[
                "nodeGroups[0].instanceTypes[0]: maxPods is 110, and m5.large has addresses for 29 pods; that is what counts",
            ],
        ),
        (
            "headroom: {manual: [{count: 1, cpu: 1}]}",
            "headroom: {automatic: {percent: 5}}",
            &["headroom.manual has no effect while headroom.automatic is on; set headroom.combine to have both"],
        ),
        ("headroom: {manual: [{count: 1, cpu: 1}]}", "headroom: {automatic: {percent: 5}, combine: true}", &[]),
        (
            "",
            "extendedResources: [{name: example.com/fpga, mapping: {\"*\": 1, m5.large: 2, x1.huge: 4}}]",
            &["extendedResources[0].mapping: no group has x1.huge"],
        ),
        ("", "suspensionHours: {}", &[]),
        ("", "suspensionHours: {enabled: true}", &["suspensionHours.enabled has no effect without windows"]),
        ("", "suspensionHours: {enabled: false, windows: ['Mon:00:00-Sun:00:00', 'Sun:00:00-Mon:00:00']}", &[]),
        (
            "",
            "suspensionHours: {windows: ['Mon:00:00-Sun:00:00', 'Sun:00:00-Mon:00:00']}",
            &[
                "suspensionHours.windows cover the whole week, so that no node is ever removed to save; scaleDown.enabled: false says the same",
            ],
        ),
    ] {
        assert_eq!(read(&with(group, sections)).unwrap().warnings, warnings, "{group} {sections}");
    }
}

/// Scenario 17.
#[test]
fn extended_resources_by_instance_type() {
    let resources = "extendedResources:
  - {name: example.com/fpga, mapping: {m5.large: 2Ki}}
  - {name: example.com/disk, mapping: {\"*\": 3, plain: 0}}";
    let group = group("instanceTypes: [m5.large, plain]", resources);
    let extended = |at: usize| -> Vec<(&str, u64)> {
        group.instance_types[at].extended.iter().map(|(name, amount)| (name.as_str(), *amount)).collect()
    };
    assert_eq!(extended(0), [("example.com/fpga", 2048), ("example.com/disk", 3)]);
    assert_eq!(extended(1), [("example.com/disk", 0)]);
}

#[test]
fn a_group_is_bought_one_way_or_several() {
    for (keys, lifecycles) in [
        ("", &[Lifecycle::OnDemand][..]),
        ("lifecycle: spot", &[Lifecycle::Spot]),
        ("lifecycles: [spot, on-demand]", &[Lifecycle::Spot, Lifecycle::OnDemand]),
    ] {
        assert_eq!(group(keys, "").lifecycles, lifecycles, "{keys}");
    }
    let spot = |keys: &str| {
        let group = group(&format!("lifecycle: spot, {keys}"), "");
        group.price(&group.instance_types[0], Lifecycle::Spot)
    };
    assert_eq!(spot(""), Some(Price(35_000)), "the catalogue's spot price");
    assert_eq!(spot("instanceTypes: [m5.free], spotPricePercent: 40"), Some(Price(40_000)));
    let inline =
        "instanceTypes: [{name: x, vcpu: 2, memoryMib: 4096, priceUsdPerHour: 0.1, spotPriceUsdPerHour: 0.03}]";
    assert_eq!(spot(inline), Some(Price(30_000)));
}

#[test]
fn places_systems_and_startup_taints() {
    let plain = group("", "");
    assert_eq!((plain.os, plain.region, plain.subnets.len()), (Os::Linux, None, 0));
    assert_eq!((plain.startup.taints.len(), plain.startup.grace), (0, Millis::from_secs(300)));
    let win = group("os: windows, region: eu-west-1", "");
    assert_eq!((win.os, win.region.as_deref()), (Os::Windows, Some("eu-west-1")));

    let subnets =
        "subnets: [{id: s1, zone: b, freeIps: 5}, {id: s2, zone: a, freeIps: 7}, {id: s3, zone: b, freeIps: 1}]";
    let group_with_subnets = group(subnets, "");
    assert_eq!(group_with_subnets.zones, ["b", "a"]);
    assert_eq!((group_with_subnets.free_ips("b"), group_with_subnets.free_ips("a")), (Some(6), Some(7)));
    assert_eq!(group(&format!("zones: [a, b], {subnets}"), "").zones, ["a", "b"]);

    let cluster = "startupTaints: [{key: net, effect: NoSchedule}]\ngracePeriod: 10m";
    let of = |keys: &str| group(keys, cluster).startup;
    assert_eq!((of("").taints[0].effect, of("").grace), (TaintEffect::NoSchedule, Millis::from_secs(600)));
    let own = of("startupTaints: [{key: disk, value: x, effect: NoExecute}], gracePeriod: 60");
    assert_eq!((own.taints[0].to_string().as_str(), own.grace), ("disk=x:NoExecute", Millis::from_secs(60)));
    assert!(of("startupTaints: []").taints.is_empty());
    let config = read(&with("", cluster)).unwrap();
    assert_eq!(config.scale_up.startup.taints.len(), 1, "for nodes of no group");
    let network = read(&with("", "network: {podsUseSubnetIps: true, minFreeIps: 9}")).unwrap().scale_up.network;
    assert_eq!((network.pods_use_subnet_ips, network.min_free_ips), (true, 9));
}

#[test]
fn block_devices_of_the_group_win_one_by_one() {
    let cluster = "blockDevices:
  dynamicIops: {baseSize: 50, resource: CPU, sizePerResourceUnit: 20}
  dynamicVolumeSize: {baseSize: 20, resource: cpu, sizePerResourceUnit: 5}";
    let amount = |base, per_unit, unit| Some(DynamicAmount { base, per_unit, unit });
    let volume_gib = amount(20, 5, SizedBy::Cpu);
    assert_eq!(group("", "").block_device, BlockDevice::default());
    assert_eq!(group("", cluster).block_device, BlockDevice { iops: amount(50, 20, SizedBy::Cpu), volume_gib });
    let own = "blockDevices: {dynamicIops: {baseSize: 1, resource: memory, sizePerResourceUnit: 2}}";
    assert_eq!(group(own, cluster).block_device, BlockDevice { iops: amount(1, 2, SizedBy::Memory), volume_gib });
}

#[test]
fn headroom_of_the_cluster_and_of_groups() {
    let types = "instanceTypes: [{name: x, vcpu: 2, memoryMib: 4096, gpus: 1, gpuResource: amd.com/gpu}]";
    let text = with(
        &format!("{types}, headroom: {{manual: [{{numOfUnits: 2, cpu: 500m, memory: 2Gi, gpus: 1}}]}}"),
        "headroom: {manual: [{count: 3, cpu: 2}, {count: 1, memory: 1Gi, group: g}], automatic: {percent: 200}, combine: true}",
    );
    let headroom = read(&text).unwrap().scale_up.headroom;
    assert_eq!((headroom.automatic_percent, headroom.combine), (200, true));
    let manual = &headroom.manual;
    let groups: Vec<_> = manual.iter().map(|unit| (unit.group.as_deref(), unit.count)).collect();
    assert_eq!(groups, [(None, 3), (Some("g"), 1), (Some("g"), 2)]);
    assert_eq!(manual[0].requests.cpu, MilliCpu(2000));
    assert_eq!(manual[1].requests.memory, Bytes(1 << 30));
    assert_eq!((manual[2].requests.cpu, manual[2].requests.get_extended("amd.com/gpu")), (MilliCpu(500), 1));
    let off = read(&with("", "")).unwrap().scale_up.headroom;
    assert_eq!((off.automatic_percent, off.manual.len()), (0, 0));
}

#[test]
fn every_mistake_is_named_with_its_field() {
    let subnet = |more: &str| format!("subnets: [{{id: s, zone: a, freeIps: 5}}, {more}]");
    let inline = |more: &str| format!("instanceTypes: [{{name: x, vcpu: 2, memoryMib: 4096, {more}}}]");
    let resource = |text: &str| format!("extendedResources: [{text}]");
    let dynamic = |key: &str, resource: &str| {
        format!("blockDevices: {{{key}: {{baseSize: 1, resource: {resource}, sizePerResourceUnit: 2}}}}")
    };
    let unit = |text: &str| format!("headroom: {{manual: [{text}]}}");
    let none = String::new();
    let group_cases = [
        ("zones: []".to_owned(), "nodeGroups[0].zones: ", "subnets"),
        ("lifecycles: []".to_owned(), "nodeGroups[0].lifecycles: ", "on-demand, spot, or both"),
        ("lifecycles: [spot, spot]".to_owned(), "nodeGroups[0].lifecycles: ", "twice"),
        ("lifecycles: [spot, cheap]".to_owned(), "nodeGroups[0].lifecycles[1]: ", "\"cheap\""),
        ("lifecycle: spot, lifecycles: [spot]".to_owned(), "nodeGroups[0].lifecycles: ", "keep one"),
        ("lifecycle: spot, spotPricePercent: 0".to_owned(), "nodeGroups[0].spotPricePercent: ", "1 and 100"),
        ("spotPricePercent: 40".to_owned(), "nodeGroups[0].spotPricePercent: ", "no spot nodes"),
        ("os: beos".to_owned(), "nodeGroups[0].os: ", "linux nor windows"),
        ("reservedENIs: 3".to_owned(), "nodeGroups[0].reservedENIs: ", "3 reserved interfaces leave none"),
        ("reservedEnis: 3".to_owned(), ":2:", "did you mean \"reservedENIs\""),
        ("maxPods: 0".to_owned(), "nodeGroups[0].maxPods: ", "above 0"),
        (inline("enis: 3"), "nodeGroups[0].instanceTypes[0]: ", "ipsPerEni"),
        (inline("ipPerEni: 3"), ":2:", "did you mean \"ipsPerEni\""),
        (subnet("{id: s, zone: a, freeIps: 1}"), "nodeGroups[0].subnets[1].id: ", "twice"),
        (
            format!("zones: [a], {}", subnet("{id: t, zone: c, freeIps: 1}")),
            "nodeGroups[0].subnets[1].zone: ",
            "c is not",
        ),
        (format!("zones: [a, c], {}", subnet("")), "nodeGroups[0].subnets: ", "none is in zone c"),
        (subnet("{id: t, zone: a, freeIPs: 1}"), ":2:", "did you mean \"freeIps\""),
        ("startupTaints: [{key: x, effect: Never}]".to_owned(), "nodeGroups[0].startupTaints[0].effect: ", "\"Never\""),
        ("gracePeriod: soon".to_owned(), ":2:", "soon"),
        (dynamic("dynamicIops", "disk"), "nodeGroups[0].blockDevices.dynamicIops.resource: ", "cpu or memory"),
        (unit("{count: 1, cpu: 1, group: g}"), "nodeGroups[0].headroom.manual[0].group: ", "stands in"),
        (unit("{count: 1, cpu: -1}"), "nodeGroups[0].headroom.manual[0].cpu: ", "negative"),
    ];
    let section_cases = [
        (none.clone(), "", ""),
        ("network: {reservedENI: 1}".to_owned(), ":3:", "did you mean \"reservedENIs\""),
        ("startupTaints: [{key: x, effect: Never}]".to_owned(), "startupTaints[0].effect: ", "\"Never\""),
        (dynamic("dynamicVolumeSize", "memory"), "blockDevices.dynamicVolumeSize.resource: ", "is not cpu"),
        (dynamic("dynamicIop", "cpu"), ":3:", "did you mean \"dynamicIops\""),
        (resource("{name: cpu, mapping: {m5.large: 1}}"), "extendedResources[0].name: ", "no extended resource"),
        (resource("{name: \"\", mapping: {m5.large: 1}}"), "extendedResources[0].name: ", "empty"),
        (resource("{name: a/b, mapping: {m5.large: many}}"), "extendedResources[0].mapping[\"m5.large\"]: ", "many"),
        (resource("{name: a/b, mapping: {}}"), "extendedResources[0].mapping: ", "\"*\""),
        (
            resource("{name: a/b, mapping: {\"*\": 1}}, {name: a/b, mapping: {\"*\": 2}}"),
            "extendedResources[1].name: ",
            "two resources",
        ),
        ("headroom: {automatic: {percent: 201}}".to_owned(), "headroom.automatic.percent: ", "0 and 200"),
        (unit("{count: 1, cpu: 1, group: h}"), "headroom.manual[0].group: ", "called h"),
        (unit("{count: 1}"), "headroom.manual[0]: ", "cpu, memory or gpus"),
        (unit("{count: -1, cpu: 1}"), ":3:", ""),
    ];
    let cases = group_cases.into_iter().map(|(keys, place, problem)| (with(&keys, ""), place, problem));
    let more = section_cases.into_iter().map(|(sections, place, problem)| (with("", &sections), place, problem));
    for (text, place, problem) in cases.chain(more) {
        match read(&text) {
            Ok(_) => assert!(place.is_empty(), "{text} is accepted"),
            Err(error) => {
                assert!(!place.is_empty() && error.contains(place) && error.contains(problem), "{text}: {error}")
            }
        }
    }
}

#[test]
fn groups_agree_about_the_subnets_that_they_share() {
    let two = |free: u32| {
        let group = |name: &str, free: u32| {
            format!(
                "{{name: {name}, max: 1, instanceTypes: [m5.large], subnets: [{{id: s, zone: a, freeIps: {free}}}]}}"
            )
        };
        read(&format!("catalog: types.csv\nnodeGroups: [{}, {}]", group("g", 5), group("h", free)))
    };
    assert!(two(5).is_ok());
    let error = two(6).unwrap_err();
    assert!(error.contains("nodeGroups[1].subnets[0]: group g says otherwise"), "{error}");
}

#[test]
fn the_example_has_no_warnings() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/clusters/shop/plimsoll.yaml");
    let config = Config::read(&path).unwrap();
    assert_eq!(config.warnings, [""; 0]);
    assert!(config.scale_up.groups.len() >= 5);
}

#[test]
fn the_scheduler_is_described_in_its_own_words() {
    let required = |operator: &str| {
        format!(
            "scheduler: {{ignoredResources: [example.com/a], ignoredResourceGroups: [example.org], addedAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: [{{key: pool, operator: {operator}, values: [x]}}]}}]}}}}}}"
        )
    };
    let profile = read(&with("", &required("In"))).unwrap().scheduler;
    assert!(profile.ignores("example.com/a") && profile.ignores("example.org/b") && !profile.ignores("example.com/b"));
    let affinity = profile.added_affinity.unwrap();
    let suits = |pool: &str| affinity.matches(&"n".into(), &[("pool", pool)].into_iter().collect());
    assert!(suits("x") && !suits("y"));
    let error = read(&with("", &required("Like"))).unwrap_err();
    assert!(error.contains("matchExpressions[0].operator: \"Like\" is none of In"), "{error}");
    let error = read(&with("", "scheduler: {ignoredResource: []}")).unwrap_err();
    assert!(error.contains("ignoredResources"), "{error}");
}

#[test]
fn csr_rules_are_checked() {
    let config = read(
        "csr:\n  denyForged: false\n  maxExpiration: 24h\n  joinWindow: 1h\n  clockSkew: 5\n  maxAge: 30m\n  \
         bootstrapUsers: [kubelet]\n  forbiddenNames: [api.corp, '*.vip.corp']\n  forbiddenCidrs: [10.96.0.0/12, '::1']",
    )
    .unwrap();
    let (csr, default) = (config.csr, plimsoll_planner::csr::CsrRules::default());
    assert!(!config.csr_enabled && !csr.deny_forged && default.deny_forged);
    let times = [csr.max_expiration, csr.join_window, csr.clock_skew, csr.max_age];
    assert_eq!(times, [86_400, 3_600, 5, 1_800].map(Millis::from_secs));
    // What counts without the file counts with it.
    assert_eq!(csr.bootstrap_users.len(), default.bootstrap_users.len() + 1);
    let shown: Vec<String> = csr.forbidden_names.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["api.corp", "*.vip.corp"]);
    assert!(csr.forbidden_cidrs[0].contains("10.96.0.1".parse().unwrap()) && csr.forbidden_cidrs.len() == 2);
    for (csr, field) in [
        ("maxExpiration: 599", "csr.maxExpiration: "),
        ("bootstrapUsers: [a, '']", "csr.bootstrapUsers[1]: "),
        ("bootstrapUsers: ['system:anonymous']", "csr.bootstrapUsers[0]: "),
        ("bootstrapUsers: ['system:node:n1']", "csr.bootstrapUsers[0]: "),
        ("forbiddenNames: ['*']", "csr.forbiddenNames[0]: "),
        ("forbiddenCidrs: [10.0.0.0/33]", "csr.forbiddenCidrs[0]: "),
        ("joinWindow: soon", "no duration"),
        ("enable: true", "unknown key"),
    ] {
        let error = read(&format!("csr: {{{csr}}}")).unwrap_err();
        assert!(error.contains(field), "{csr}: {error}");
    }
}

#[test]
fn windows_are_read_in_their_time_zone() {
    let down = |text: &str| read(text).unwrap().scale_down;
    let suspension =
        |text: &str| -> Vec<String> { down(text).suspension.windows().iter().map(ToString::to_string).collect() };
    let windows = "windows: ['Fri:15:30-Mon:08:00', 'wed:00:00-wed:06:00']";
    assert_eq!(
        suspension(&format!("suspensionHours: {{{windows}}}")),
        ["Fri:15:30-Mon:08:00 UTC", "Wed:00:00-Wed:06:00 UTC"]
    );
    let berlin = "suspensionHours: {enabled: true, timeZone: europe/berlin, windows: ['Fri:15:30-Mon:08:00']}";
    assert_eq!(suspension(berlin), ["Fri:15:30-Mon:08:00 Europe/Berlin"]);
    assert!(suspension(&format!("suspensionHours: {{enabled: false, {windows}}}")).is_empty());
    let optimization = down(
        "optimizationWindows:\n  - {schedule: '0 2 * * SUN', duration: 2h, effects: [ignorePdb]}\n  \
         - {schedule: '30 1 * * *', timeZone: America/New_York, duration: 1d, effects: [ignoreRestrictScaleDown, ignorePdb]}",
    )
    .optimization;
    let read: Vec<_> = optimization
        .windows()
        .iter()
        .map(|window| (window.schedule().to_string(), window.length().get(), window.effects().len()))
        .collect();
    let expected = [
        ("0 2 * * SUN UTC".to_owned(), Millis::from_secs(7_200), 1),
        ("30 1 * * * America/New_York".to_owned(), Millis::from_secs(86_400), 2),
    ];
    assert_eq!(read, expected);
    assert_eq!(down("").optimization.windows().len(), 0);
}

#[test]
fn wrong_windows_are_named_with_their_place() {
    let window = |keys: &str| {
        format!("optimizationWindows: [{{schedule: '0 2 * * *', duration: 2h, effects: [ignorePdb]}}, {{{keys}}}]")
    };
    for (text, problem) in [
        (
            "suspensionHours: {windows: ['Fri:15:30-Mon:08:00', 'Fri:15:30']}".to_owned(),
            "suspensionHours.windows[1]: \"Fri:15:30\" is no weekly window",
        ),
        (
            "suspensionHours: {enabled: false, windows: ['Fri:24:00-Mon:08:00']}".to_owned(),
            "suspensionHours.windows[0]: \"24:00\" is no time of day",
        ),
        ("suspensionHours: {timeZone: CEST, windows: []}".to_owned(), "suspensionHours.timeZone: \"CEST\" is no IANA"),
        ("suspensionHours: {window: []}".to_owned(), "did you mean \"windows\"?"),
        ("suspensionHours: {isEnabled: true}".to_owned(), "did you mean \"enabled\"?"),
        (
            window("schedule: '0 2 * *', duration: 2h, effects: [ignorePdb]"),
            "optimizationWindows[1].schedule: \"0 2 * *\" has 4 fields",
        ),
        (
            window("schedule: '0 2 * * *', duration: 8d, effects: [ignorePdb]"),
            "optimizationWindows[1].duration: \"8d\" is not between",
        ),
        (
            window("schedule: '0 2 * * *', duration: 2h, timeZone: Mars, effects: [ignorePdb]"),
            "optimizationWindows[1].timeZone: \"Mars\" is no IANA",
        ),
        (
            window("schedule: '0 2 * * *', duration: 2h, effects: [ignorePdb, ignoreAll]"),
            "optimizationWindows[1].effects[1]: \"ignoreAll\" is no effect",
        ),
        (
            window("schedule: '0 2 * * *', duration: 2h, effects: []"),
            "optimizationWindows[1].effects: it has no effect; write ignorePdb",
        ),
        (window("schedule: '0 2 * * *', effects: [ignorePdb]"), "duration"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn rules_are_those_of_a_preset_and_what_is_set_beside_it() {
    let rules = |keys: &str| Ok(read(&format!("scaleDown: {{rules: {{{keys}}}}}"))?.scale_down.rules);
    let (ours, peers): (Result<_, String>, _) = (rules(""), rules("preset: cluster-autoscaler"));
    assert_eq!(ours, Ok(DrainabilityRules::default()));
    assert_eq!(rules("preset: default"), ours);
    assert_eq!(peers, Ok(DrainabilityRules::of(RulesPreset::ClusterAutoscaler)));
    assert_ne!(ours, peers);
    let mixed = "skipNodesWithSystemPods: true, skipNodesWithLocalStorage: true, minReplicaCount: 2, \
        skipNodesWithCustomControllerPods: true, budgets: staged, blockingSystemPodDisruptionTimeout: 10m";
    let mixed = rules(mixed).unwrap();
    assert!(mixed.skip_nodes_with_system_pods && mixed.skip_nodes_with_local_storage);
    assert!(mixed.skip_nodes_with_custom_controller_pods);
    assert_eq!((mixed.preset, mixed.min_replica_count), (RulesPreset::Ocean, 2));
    assert_eq!((mixed.budgets, mixed.blocking_system_pod_timeout), (BudgetArithmetic::Staged, Some(Millis(600_000))));
    let off = "preset: cluster-autoscaler, skipNodesWithSystemPods: false, skipNodesWithLocalStorage: false, \
        skipNodesWithCustomControllerPods: false, budgets: batch, blockingSystemPodDistruptionTimeout: never";
    let off = rules(off).unwrap();
    assert!(!off.skip_nodes_with_system_pods && !off.skip_nodes_with_local_storage);
    assert!(!off.skip_nodes_with_custom_controller_pods);
    assert_eq!((off.preset, off.budgets), (RulesPreset::ClusterAutoscaler, BudgetArithmetic::Batch));
    assert_eq!(off.blocking_system_pod_timeout, None);
    for (keys, problem) in [
        ("preset: ca", "scaleDown.rules.preset: \"ca\" is not known; write default or cluster-autoscaler"),
        ("budgets: some", "scaleDown.rules.budgets: \"some\" is not known; write batch or staged"),
        ("blockingSystemPodDisruptionTimeout: soon", "\"soon\" is no duration"),
        ("blockingSystemPodDisruptionTimeout: -1", "a duration cannot be negative"),
        ("skipNodesWithLocalStorrage: true", "did you mean \"skipNodesWithLocalStorage\"?"),
        ("minReplicaCount: -1", "u32"),
    ] {
        let error = rules(keys).unwrap_err();
        assert!(error.contains(problem), "{keys}: {error}");
    }
}

/// What is said of the removal of nodes, for all of them and for those of one group.
#[test]
fn removal_by_cluster_and_group() {
    let defaults = read(&with("", "")).unwrap().scale_down;
    assert_eq!((defaults.max_percentage, defaults.caps_total, defaults.evaluation_periods), (10, false, 5));
    assert_eq!(defaults.forced.unhealthy_after, None);
    let own = "scaleDown: {accelerated: true, maxPercentage: 40, evaluationPeriods: 2}, \
               drain: {timeout: 10m, forceDeleteAfter: never}";
    let all = "scaleDown: {maxPercentage: 20, evaluationPeriods: 3, interval: 30, minNodeAge: 10m}\n\
               interruption: {taints: [going], notice: 30}\nunhealthy: {enabled: true, after: 3m}";
    let config = read(&with(own, all)).unwrap();
    let down = config.scale_down;
    assert_eq!((down.max_percentage, down.caps_total, down.evaluation_periods), (20, true, 3));
    assert_eq!((down.interval, down.min_node_age), (Millis(30_000), Some(Millis(600_000))));
    assert_eq!((down.forced.notice, down.forced.unhealthy_after), (Millis(30_000), Some(Millis(180_000))));
    assert_eq!(down.forced.interruption_taints, ["going"]);
    let group = &down.groups.unwrap()[0].scale_down;
    assert_eq!((group.accelerated, group.max_percentage, group.evaluation_periods), (Some(true), Some(40), Some(2)));
    assert_eq!((group.timeout, group.force_delete), (Some(Millis(600_000)), Some(ForceDelete::Never)));
    for (own, all, wrong) in [
        ("scaleDown: {maxPercentage: 0}", "", "nodeGroups[0].scaleDown.maxPercentage"),
        ("scaleDown: {evaluationPeriods: 0}", "", "nodeGroups[0].scaleDown.evaluationPeriods"),
        ("drain: {timeout: 299}", "", "nodeGroups[0].drain.timeout"),
        ("drain: {forceDeleteAfter: soon}", "", "never"),
        ("", "scaleDown: {evaluationPeriods: 0}", "scaleDown.evaluationPeriods"),
        ("", "scaleDown: {interval: 0}", "scaleDown.interval"),
        ("", "unhealthy: {after: 59}", "unhealthy.after"),
    ] {
        let error = read(&with(own, all)).unwrap_err();
        assert!(error.contains(wrong), "{error}");
    }
}
