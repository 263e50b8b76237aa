//! The calls of the simulated cloud.

use std::future::Future;

use tonic::{Request, Response, Status};

use super::{Call, Recorded, SimulatedCloud, State, Trouble};
use crate::external_grpc::protocol as wire;
use crate::external_grpc::protocol::cloud_provider_server::CloudProvider;
use crate::external_grpc::protocol::instance_status::InstanceState;

type Answer<A> = Result<Response<A>, Status>;

impl SimulatedCloud {
    /// Does what a call does, unless something is to go wrong. It is done even if the caller leaves meanwhile.
    async fn answer<A: Send + 'static>(
        &self,
        call: Call,
        group: &str,
        delta: i32,
        work: impl FnOnce(&Self) -> Result<A, Status> + Send + 'static,
    ) -> Answer<A> {
        self.answer_to(Recorded { call, group: group.to_owned(), delta, machines: Vec::new() }, work).await
    }

    async fn answer_to<A: Send + 'static>(
        &self,
        recorded: Recorded,
        work: impl FnOnce(&Self) -> Result<A, Status> + Send + 'static,
    ) -> Answer<A> {
        let (trouble, latency) = self.begin(recorded)?;
        let cloud = self.clone();
        let done = tokio::spawn(async move {
            tokio::time::sleep(latency).await;
            match trouble {
                None => Spoken::Answer(work(&cloud)),
                Some(Trouble { done, answer, .. }) => {
                    let result = done.then(|| work(&cloud));
                    match (answer, result) {
                        (Some((code, message)), _) => Spoken::Answer(Err(Status::new(code, message))),
                        (None, _) => Spoken::Nothing,
                    }
                }
            }
        });
        match done.await {
            Ok(Spoken::Answer(answer)) => answer.map(Response::new),
            Ok(Spoken::Nothing) => std::future::pending().await,
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }

    fn plain<A: Send + 'static>(&self, call: Call, answer: A) -> impl Future<Output = Answer<A>> + Send {
        self.answer(call, "", 0, move |_| Ok(answer))
    }
}

enum Spoken<A> {
    Answer(Result<A, Status>),
    Nothing,
}

#[tonic::async_trait]
impl CloudProvider for SimulatedCloud {
    async fn refresh(&self, _: Request<wire::RefreshRequest>) -> Answer<wire::RefreshResponse> {
        self.plain(Call::Refresh, wire::RefreshResponse {}).await
    }

    async fn cleanup(&self, _: Request<wire::CleanupRequest>) -> Answer<wire::CleanupResponse> {
        self.plain(Call::Cleanup, wire::CleanupResponse {}).await
    }

    async fn node_groups(&self, _: Request<wire::NodeGroupsRequest>) -> Answer<wire::NodeGroupsResponse> {
        self.answer(Call::NodeGroups, "", 0, |cloud| {
            let node_groups = cloud.state().groups.iter().map(node_group).collect();
            Ok(wire::NodeGroupsResponse { node_groups })
        })
        .await
    }

    async fn node_group_for_node(
        &self,
        request: Request<wire::NodeGroupForNodeRequest>,
    ) -> Answer<wire::NodeGroupForNodeResponse> {
        let provider_id = request.into_inner().node.unwrap_or_default().provider_id;
        self.answer(Call::NodeGroupForNode, "", 0, move |cloud| {
            let state = cloud.state();
            let id = state.machines.get(&provider_id).map(|machine| machine.group.as_str());
            let found = id.and_then(|id| state.groups.iter().find(|group| group.id == id));
            Ok(wire::NodeGroupForNodeResponse { node_group: Some(found.map(node_group).unwrap_or_default()) })
        })
        .await
    }

    async fn node_group_target_size(
        &self,
        request: Request<wire::NodeGroupTargetSizeRequest>,
    ) -> Answer<wire::NodeGroupTargetSizeResponse> {
        let id = request.into_inner().id;
        self.answer(Call::NodeGroupTargetSize, &id.clone(), 0, move |cloud| {
            cloud.group(&id)?;
            Ok(wire::NodeGroupTargetSizeResponse { target_size: cloud.size(&id) })
        })
        .await
    }

    async fn node_group_increase_size(
        &self,
        request: Request<wire::NodeGroupIncreaseSizeRequest>,
    ) -> Answer<wire::NodeGroupIncreaseSizeResponse> {
        let wire::NodeGroupIncreaseSizeRequest { delta, id } = request.into_inner();
        self.answer(Call::NodeGroupIncreaseSize, &id.clone(), delta, move |cloud| {
            cloud.grow(&id, delta).map(|()| wire::NodeGroupIncreaseSizeResponse {})
        })
        .await
    }

    async fn node_group_decrease_target_size(
        &self,
        request: Request<wire::NodeGroupDecreaseTargetSizeRequest>,
    ) -> Answer<wire::NodeGroupDecreaseTargetSizeResponse> {
        let wire::NodeGroupDecreaseTargetSizeRequest { delta, id } = request.into_inner();
        self.answer(Call::NodeGroupDecreaseTargetSize, &id.clone(), delta, move |cloud| {
            cloud.group(&id)?;
            let mut state = cloud.state();
            let is_there = |machine: &&super::Machine| machine.group == id && machine.running && !machine.deleting;
            let there = state.machines.values().filter(is_there).count();
            let wanted = i64::from(state.sizes.get(&id).copied().unwrap_or_default()) + i64::from(delta);
            let enough = usize::try_from(wanted).is_ok_and(|wanted| wanted >= there);
            match i32::try_from(wanted) {
                Ok(wanted) if delta < 0 && enough => {
                    state.sizes.insert(id, wanted);
                    Ok(wire::NodeGroupDecreaseTargetSizeResponse {})
                }
                _ => Err(Status::invalid_argument(format!("{delta} cannot be taken from {id}: {there} are there"))),
            }
        })
        .await
    }

    async fn node_group_delete_nodes(
        &self,
        request: Request<wire::NodeGroupDeleteNodesRequest>,
    ) -> Answer<wire::NodeGroupDeleteNodesResponse> {
        let wire::NodeGroupDeleteNodesRequest { nodes, id } = request.into_inner();
        let ids: Vec<String> = nodes.into_iter().map(|node| node.provider_id).collect();
        let call = Call::NodeGroupDeleteNodes;
        self.answer_to(Recorded { call, group: id.clone(), delta: 0, machines: ids.clone() }, move |cloud| {
            cloud.delete(&id, &ids).map(|()| wire::NodeGroupDeleteNodesResponse {})
        })
        .await
    }

    async fn node_group_nodes(
        &self,
        request: Request<wire::NodeGroupNodesRequest>,
    ) -> Answer<wire::NodeGroupNodesResponse> {
        let id = request.into_inner().id;
        self.answer(Call::NodeGroupNodes, &id.clone(), 0, move |cloud| {
            cloud.group(&id)?;
            Ok(wire::NodeGroupNodesResponse { instances: instances(&cloud.state(), &id) })
        })
        .await
    }

    async fn node_group_template_node_info(
        &self,
        request: Request<wire::NodeGroupTemplateNodeInfoRequest>,
    ) -> Answer<wire::NodeGroupTemplateNodeInfoResponse> {
        let id = request.into_inner().id;
        self.answer(Call::NodeGroupTemplateNodeInfo, &id.clone(), 0, move |cloud| {
            let node_bytes = cloud.node_bytes(&id)?;
            Ok(wire::NodeGroupTemplateNodeInfoResponse { node_bytes, resource_slice_bytes: Vec::new() })
        })
        .await
    }

    async fn node_group_get_options(
        &self,
        request: Request<wire::NodeGroupAutoscalingOptionsRequest>,
    ) -> Answer<wire::NodeGroupAutoscalingOptionsResponse> {
        let wire::NodeGroupAutoscalingOptionsRequest { id, defaults } = request.into_inner();
        self.answer(Call::NodeGroupGetOptions, &id, 0, move |_| {
            Ok(wire::NodeGroupAutoscalingOptionsResponse { node_group_autoscaling_options: defaults })
        })
        .await
    }

    async fn gpu_label(&self, _: Request<wire::GpuLabelRequest>) -> Answer<wire::GpuLabelResponse> {
        self.plain(Call::GpuLabel, wire::GpuLabelResponse { label: "simulated-cloud/gpu".to_owned() }).await
    }

    async fn get_available_gpu_types(
        &self,
        _: Request<wire::GetAvailableGpuTypesRequest>,
    ) -> Answer<wire::GetAvailableGpuTypesResponse> {
        self.plain(Call::GetAvailableGpuTypes, wire::GetAvailableGpuTypesResponse::default()).await
    }

    async fn pricing_node_price(
        &self,
        _: Request<wire::PricingNodePriceRequest>,
    ) -> Answer<wire::PricingNodePriceResponse> {
        self.plain(Call::PricingNodePrice, wire::PricingNodePriceResponse { price: 1.0 }).await
    }

    async fn pricing_pod_price(
        &self,
        _: Request<wire::PricingPodPriceRequest>,
    ) -> Answer<wire::PricingPodPriceResponse> {
        self.plain(Call::PricingPodPrice, wire::PricingPodPriceResponse { price: 1.0 }).await
    }
}

fn node_group(group: &super::SimulatedGroup) -> wire::NodeGroup {
    wire::NodeGroup {
        id: group.id.clone(),
        min_size: group.min,
        max_size: group.max,
        debug: format!("simulated, {} to {}", group.min, group.max),
    }
}

fn instances(state: &State, group: &str) -> Vec<wire::Instance> {
    let of_group = state.machines.iter().filter(|(_, machine)| machine.group == group);
    of_group
        .map(|(id, machine)| {
            let state = match (machine.deleting, machine.running) {
                (true, _) => InstanceState::InstanceDeleting,
                (false, true) => InstanceState::InstanceRunning,
                (false, false) => InstanceState::InstanceCreating,
            };
            let error_info = machine.failed.as_ref().map(|(code, class)| wire::InstanceErrorInfo {
                error_code: code.clone(),
                error_message: "fails on purpose".to_owned(),
                instance_error_class: *class,
            });
            let status = wire::InstanceStatus { instance_state: state.into(), error_info };
            wire::Instance { id: id.clone(), status: Some(status) }
        })
        .collect()
}
