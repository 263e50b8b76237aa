//! Whole rounds: what is chosen, how many nodes, and why.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use plimsoll_sdk::scale_up::{Launch, LaunchOption, Limits, Placement, PodShape, Request, Verdict};
use plimsoll_sdk::{Lifecycle, ScaleUp};
use scale_up_least_cost::LeastCost;
use scale_up_least_cost::settings::{Priority, Settings, Strategy};

const GIB: u64 = 1 << 30;

fn shape(id: u32, pods: u32, milli_cpu: u64) -> PodShape {
    PodShape { id, pods, milli_cpu, memory_bytes: GIB, ..PodShape::default() }
}

/// An on-demand option of a node with 4 cores and 16 GiB, in a group and an instance type of its own.
fn option(id: u32, price: u64, nodes: u32, places: &[(u32, u32)]) -> LaunchOption {
    LaunchOption {
        id,
        group: format!("group-{id}"),
        instance_type: format!("type-{id}"),
        zone: "zone-a".into(),
        price: Some(price),
        nodes,
        places: places.iter().map(|&(shape, pods)| Placement { shape, pods }).collect(),
        node_milli_cpu: 4_000,
        node_memory_bytes: 16 * GIB,
        ..LaunchOption::default()
    }
}

fn request(shapes: Vec<PodShape>, options: Vec<LaunchOption>) -> Request {
    Request { shapes, options, ..Request::default() }
}

fn settings(strategy: Strategy) -> Settings {
    Settings { strategy, ..Settings::default() }
}

#[track_caller]
fn launches(settings: &Settings, request: &Request) -> Vec<Launch> {
    match LeastCost::choose(settings, request) {
        Verdict::Launch(launches) => launches,
        verdict => panic!("{verdict:?}"),
    }
}

/// Which options are chosen, and how many nodes of each.
#[track_caller]
fn counts(settings: &Settings, request: &Request) -> Vec<(u32, u32)> {
    launches(settings, request).iter().map(|launch| (launch.option_id, launch.count)).collect()
}

#[test]
fn the_cheapest_option_and_its_reason() {
    let spot = LaunchOption {
        instance_type: "m5.xlarge".into(),
        lifecycle: Lifecycle::Spot,
        ..option(7, 58_000, 3, &[(0, 12)])
    };
    let request = request(vec![shape(0, 12, 1_000)], vec![option(4, 192_000, 3, &[(0, 12)]), spot]);
    let expected = Launch {
        option_id: 7,
        count: 3,
        reason: "places 12 pods on 3 × m5.xlarge spot in zone-a at $0.058/h each, cheapest of 2 options".into(),
    };
    assert_eq!(launches(&Settings::default(), &request), [expected]);
}

#[test]
fn what_one_option_cannot_place_another_does() {
    let shapes = vec![shape(0, 10, 500), shape(3, 2, 2_000)];
    let options = vec![option(0, 10, 2, &[(0, 10)]), option(1, 90, 1, &[(3, 2)]), option(2, 50, 1, &[(3, 2)])];
    assert_eq!(counts(&Settings::default(), &request(shapes, options)), [(0, 2), (2, 1)]);
}

#[test]
fn small_pods_ride_along_with_large_ones() {
    // By the piece the small option is cheaper; but the nodes for the large pods have room for the small ones.
    let shapes = vec![shape(0, 10, 100), shape(1, 10, 3_500)];
    let options = vec![option(0, 288, 1, &[(0, 10)]), option(1, 768, 10, &[(0, 10), (1, 10)])];
    assert_eq!(counts(&Settings::default(), &request(shapes, options)), [(1, 10)]);
}

#[test]
fn a_part_of_an_option_takes_a_part_of_its_nodes() {
    // Option 1 needs 10 nodes for everything, 5 of them for the shape that option 0 does not place.
    let shapes = vec![shape(0, 20, 1_000), shape(1, 20, 1_000)];
    let mut cheap = option(0, 1, 5, &[(0, 20)]);
    cheap.max_nodes = 5;
    let options = vec![cheap, option(1, 100, 10, &[(0, 20), (1, 20)])];
    assert_eq!(counts(&Settings::default(), &request(shapes, options)), [(0, 5), (1, 5)]);
}

#[test]
fn where_nodes_are_scarce_those_that_hold_more_win() {
    let options = vec![option(0, 10, 10, &[(0, 10)]), option(1, 200, 2, &[(0, 10)])];
    let mut request = request(vec![shape(0, 10, 1_000)], options);
    assert_eq!(counts(&Settings::default(), &request), [(0, 10)]);
    request.remaining.nodes = 2;
    assert_eq!(counts(&Settings::default(), &request), [(1, 2)]);
}

#[test]
fn limits_cut_a_choice_and_the_reason_says_so() {
    let mut request = request(vec![shape(0, 12, 1_000)], vec![option(0, 10, 3, &[(0, 12)])]);
    for remaining in [
        Limits { nodes: 2, ..Limits::default() },
        Limits { milli_cpu: 11_999, ..Limits::default() },
        Limits { memory_bytes: 47 * GIB, ..Limits::default() },
    ] {
        request.remaining = remaining;
        let chosen = launches(&Settings::default(), &request);
        assert_eq!((chosen[0].count, chosen.len()), (2, 1));
        assert!(chosen[0].reason.starts_with("places 8 pods on 2 ×"), "{}", chosen[0].reason);
        assert!(chosen[0].reason.ends_with("the only option, limited to the nodes that are allowed"));
    }
}

#[test]
fn options_of_one_group_share_what_the_group_allows() {
    let of_group = |id, places| LaunchOption { group: "shop".into(), max_nodes: 3, ..option(id, 10, 2, places) };
    let shapes = vec![shape(0, 4, 1_000), shape(1, 4, 1_000)];
    let options = vec![of_group(0, &[(0, 4)]), of_group(1, &[(1, 4)])];
    assert_eq!(counts(&Settings::default(), &request(shapes, options)), [(0, 2), (1, 1)]);
}

#[test]
fn a_subnet_without_addresses_takes_no_nodes() {
    let mut cheap = option(0, 10, 3, &[(0, 12)]);
    cheap.free_ips = Some(0);
    let dear = option(1, 90, 3, &[(0, 12)]);
    assert_eq!(counts(&Settings::default(), &request(vec![shape(0, 12, 1_000)], vec![cheap, dear])), [(1, 3)]);
}

#[test]
fn an_unknown_price_comes_last_and_is_still_used() {
    let unknown = |id, places| LaunchOption { price: None, ..option(id, 0, 1, places) };
    let shapes = vec![shape(0, 2, 1_000), shape(1, 1, 1_000)];
    let options = vec![unknown(0, &[(0, 2)]), option(1, 900, 1, &[(0, 2)]), unknown(2, &[(1, 1)])];
    let chosen = launches(&Settings::default(), &request(shapes, options));
    assert_eq!(chosen.iter().map(|launch| launch.option_id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(chosen[1].reason, "places 1 pod on 1 × type-2 on-demand in zone-a at an unknown price, the only option");
}

#[test]
fn equal_options_go_in_their_order() {
    let options = vec![option(9, 10, 1, &[(0, 2)]), option(3, 10, 1, &[(0, 2)])];
    assert_eq!(counts(&Settings::default(), &request(vec![shape(0, 2, 1_000)], options)), [(9, 1)]);
}

#[test]
fn each_strategy_picks_its_own_favourite() {
    let cheap = LaunchOption { wasted_milli_cpu: 9_000, ..option(0, 10, 4, &[(0, 8)]) };
    let tight = LaunchOption { price: Some(90), wasted_milli_cpu: 10, ..option(1, 0, 3, &[(0, 8)]) };
    let many = LaunchOption { price: Some(95), wasted_milli_cpu: 8_000, ..option(2, 0, 5, &[(0, 10)]) };
    let few = LaunchOption { price: Some(99), wasted_milli_cpu: 3_000, ..option(3, 0, 1, &[(0, 8)]) };
    let request = request(vec![shape(0, 10, 1_000)], vec![cheap, tight, many, few]);
    for (strategy, first, why) in [
        (Strategy::LeastCost, 0, "cheapest of 4 options"),
        (Strategy::LeastWaste, 1, "least waste of 4 options"),
        (Strategy::MostPods, 2, "most pods of 4 options"),
        (Strategy::LeastNodes, 3, "fewest nodes of 4 options"),
    ] {
        let chosen = launches(&settings(strategy), &request);
        assert_eq!(chosen[0].option_id, first, "{strategy:?}");
        assert!(chosen[0].reason.contains(why), "{}", chosen[0].reason);
    }
}

#[test]
fn the_highest_priority_that_helps_wins_whatever_it_costs() {
    let rule = |priority, pattern: &str| Priority { priority, groups: vec![pattern.into()] };
    let settings = Settings {
        strategy: Strategy::Priority,
        priorities: vec![rule(50, "^gpu-"), rule(10, "^shop-"), rule(5, "")],
        prefer_spot: true,
    };
    let named = |id, price, group: &str| LaunchOption { group: group.into(), ..option(id, price, 1, &[(0, 2)]) };
    let options = vec![named(0, 1, "batch"), named(1, 70, "shop-a"), named(2, 60, "shop-b")];
    let request = request(vec![shape(0, 2, 1_000)], options);
    let chosen = launches(&settings, &request);
    assert_eq!((chosen[0].option_id, chosen.len()), (2, 1));
    assert!(chosen[0].reason.ends_with("priority 10 is the highest of 3 options"), "{}", chosen[0].reason);

    let settings = Settings { priorities: vec![rule(10, "^shop-b$")], ..settings };
    assert_eq!(counts(&settings, &request), [(2, 1)]);
    let settings = Settings { priorities: vec![rule(10, "^nothing$")], ..settings };
    assert_eq!(counts(&settings, &request), [(0, 1)]);
}

#[test]
fn one_choice_is_spread_over_zones_where_that_is_free() {
    let zones = ["zone-a", "zone-b", "zone-c"];
    let mut options: Vec<_> = zones
        .iter()
        .enumerate()
        .map(|(index, zone)| LaunchOption {
            id: u32::try_from(index).unwrap(),
            zone: (*zone).into(),
            zone_nodes: if index == 0 { 2 } else { 0 },
            ..option(0, 10, 5, &[(0, 20)])
        })
        .collect();
    let of = |options: &[LaunchOption]| request(vec![shape(0, 20, 1_000)], options.to_vec());
    let chosen = launches(&Settings::default(), &of(&options));
    let counts_of = |chosen: &[Launch]| chosen.iter().map(|l| (l.option_id, l.count)).collect::<Vec<_>>();
    // The zones end with 2, 3 and 2 nodes, and every pod is counted once.
    assert_eq!(counts_of(&chosen), [(1, 3), (2, 2)]);
    assert!(chosen[0].reason.starts_with("places 12 pods on 3 ×"), "{}", chosen[0].reason);
    assert!(chosen[1].reason.starts_with("places 8 pods on 2 ×"), "{}", chosen[1].reason);
    assert!(chosen[1].reason.ends_with("spread over 2 zones"), "{}", chosen[1].reason);

    options[1].free_ips = Some(1);
    options[2].price = Some(11);
    assert_eq!(counts(&Settings::default(), &of(&options)), [(1, 1), (0, 4)]);
}

#[test]
fn nothing_to_choose_from_is_a_reason_to_hold() {
    let settings = Settings::default();
    let shapes = || vec![shape(0, 1, 1_000)];
    let none = request(shapes(), Vec::new());
    assert_eq!(LeastCost::choose(&settings, &none), Verdict::Hold("no node group would place a pending pod".into()));
    let mut full = request(shapes(), vec![option(0, 10, 1, &[(0, 1)])]);
    full.remaining = Limits { nodes: 0, milli_cpu: 64_000, memory_bytes: 256 * GIB };
    let expected = "none of the 1 options fits what the limits leave: 0 nodes, 64 cores, 256 GiB";
    assert_eq!(LeastCost::choose(&settings, &full), Verdict::Hold(expected.into()));
}

/// A small generator of numbers: the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(end)).unwrap()
    }
}

fn any_request(numbers: &mut Numbers) -> Request {
    let shapes: Vec<_> = (0..1 + numbers.below(6))
        .map(|id| shape(id, 1 + numbers.below(30), 250 * u64::from(numbers.below(8))))
        .collect();
    let options = (0..1 + numbers.below(12))
        .map(|id| {
            let places: Vec<_> = shapes
                .iter()
                .filter_map(|shape| Some((shape.id, numbers.below(shape.pods + 1))).filter(|&(_, pods)| pods > 0))
                .collect();
            let places = if places.is_empty() { vec![(0, 1)] } else { places };
            let nodes = 1 + numbers.below(9);
            LaunchOption {
                group: format!("group-{}", numbers.below(3)),
                instance_type: format!("type-{}", numbers.below(2)),
                zone: format!("zone-{}", numbers.below(3)),
                max_nodes: nodes + numbers.below(3),
                zone_nodes: numbers.below(4),
                free_ips: (numbers.below(3) == 0).then(|| numbers.below(6)),
                price: (numbers.below(5) > 0).then(|| u64::from(1 + numbers.below(1_000))),
                ..option(id, 0, nodes, &places)
            }
        })
        .collect();
    let remaining = Limits {
        nodes: numbers.below(20),
        milli_cpu: u64::from(numbers.below(80)) * 1_000,
        memory_bytes: u64::from(numbers.below(320)) * GIB,
    };
    Request { shapes, options, remaining, ..Request::default() }
}

#[test]
fn no_choice_exceeds_a_limit() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut chosen = 0;
    for _ in 0..4_000 {
        let request = any_request(&mut numbers);
        for strategy in [Strategy::LeastCost, Strategy::LeastWaste, Strategy::MostPods, Strategy::LeastNodes] {
            let verdict = LeastCost::choose(&settings(strategy), &request);
            assert_eq!(verdict, LeastCost::choose(&settings(strategy), &request));
            let Verdict::Launch(launches) = verdict else { continue };
            chosen += launches.len();
            let mut ids: Vec<_> = launches.iter().map(|launch| launch.option_id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), launches.len(), "an option is chosen twice: {launches:?}");
            for launch in &launches {
                let option = &request.options[launch.option_id as usize];
                assert!(launch.count >= 1);
                assert!(launch.count <= option.free_ips.unwrap_or(u32::MAX).min(option.max_nodes));
                let same_group = |other: &&Launch| request.options[other.option_id as usize].group == option.group;
                let of_group: u32 = launches.iter().filter(same_group).map(|other| other.count).sum();
                let most = request.options.iter().filter(|other| other.group == option.group);
                assert!(of_group <= most.map(|other| other.max_nodes).max().unwrap());
            }
            let nodes: u32 = launches.iter().map(|launch| launch.count).sum();
            assert!(nodes <= request.remaining.nodes, "{launches:?}");
            assert!(u64::from(nodes) * 4_000 <= request.remaining.milli_cpu);
            assert!(u64::from(nodes) * 16 * GIB <= request.remaining.memory_bytes);
        }
    }
    assert!(chosen > 4_000, "the requests leave something to choose: {chosen}");
}
