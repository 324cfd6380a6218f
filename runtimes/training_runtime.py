"""The ClusterTrainingRuntime that TrainJobs run on: one QLoRA worker that has a whole GPU to itself.

The GPUs are time-sliced: the device plugin offers each as ``training.gpu_slices`` of ``nvidia.com/gpu``. Time slices share one
memory, so a training beside a server would crowd it out; the worker asks for every slice. That needs
``failRequestsGreaterThanOne: false`` in the plugin's sharing settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cia.settings import Settings

if TYPE_CHECKING:
    from kubeflow_trainer_api.models import (
        IoK8sApiBatchV1JobTemplateSpec,
        IoK8sApiCoreV1Container,
        TrainerV1alpha1ClusterTrainingRuntime,
    )

HOME = "/var/lib/cia"
"""Where the shared volume with the corpus, examples, models and adapters is mounted, here and in the pipeline's steps."""

GPU = "nvidia.com/gpu"
"""The plain name: on ``nvidia.com/gpu.shared`` the SDK stops with "Unknown device type"."""


def code_assistant_qlora(settings: Settings) -> TrainerV1alpha1ClusterTrainingRuntime:
    """Return the runtime named ``training.runtime``; the SDK has no call that creates one, so apply its ``to_dict()``."""
    from kubeflow_trainer_api import models

    return models.TrainerV1alpha1ClusterTrainingRuntime(
        apiVersion="trainer.kubeflow.org/v1alpha1",
        kind="ClusterTrainingRuntime",
        metadata=models.IoK8sApimachineryPkgApisMetaV1ObjectMeta(
            name=settings.training.runtime,
            labels={"trainer.kubeflow.org/framework": "torch", "app.kubernetes.io/part-of": "code-assistant"},
        ),
        spec=models.TrainerV1alpha1TrainingRuntimeSpec(
            # No torch policy: it would read the slices as so many GPUs and start a process for each.
            mlPolicy=models.TrainerV1alpha1MLPolicy(numNodes=1),
            template=models.TrainerV1alpha1JobSetTemplateSpec(
                spec=models.JobsetV1alpha2JobSetSpec(
                    replicatedJobs=[models.JobsetV1alpha2ReplicatedJob(name="node", template=_job(settings))]
                )
            ),
        ),
    )


def _job(settings: Settings) -> IoK8sApiBatchV1JobTemplateSpec:
    from kubeflow_trainer_api import models

    claim = models.IoK8sApiCoreV1PersistentVolumeClaimVolumeSource(claimName=settings.cluster.home_claim)
    return models.IoK8sApiBatchV1JobTemplateSpec(
        # By this label the trainer's controller and the SDK know which job trains.
        metadata=models.IoK8sApimachineryPkgApisMetaV1ObjectMeta(
            labels={"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
        ),
        spec=models.IoK8sApiBatchV1JobSpec(
            # Checkpoints lie on the volume, so a second try carries on where the first was evicted.
            backoffLimit=1,
            template=models.IoK8sApiCoreV1PodTemplateSpec(
                spec=models.IoK8sApiCoreV1PodSpec(
                    containers=[_worker(settings)],
                    restartPolicy="Never",
                    nodeSelector=dict(settings.training.node_selector),
                    tolerations=[models.IoK8sApiCoreV1Toleration(key=GPU, operator="Exists", effect="NoSchedule")],
                    volumes=[models.IoK8sApiCoreV1Volume(name="home", persistentVolumeClaim=claim)],
                    securityContext=models.IoK8sApiCoreV1PodSecurityContext(
                        runAsNonRoot=True, seccompProfile=models.IoK8sApiCoreV1SeccompProfile(type="RuntimeDefault")
                    ),
                )
            ),
        ),
    )


def _worker(settings: Settings) -> IoK8sApiCoreV1Container:
    from kubeflow_trainer_api import models

    def amounts(**resources: str) -> dict[str, models.IoK8sApimachineryPkgApiResourceQuantity]:
        slices = {GPU: str(settings.training.gpu_slices)}
        return {name: models.IoK8sApimachineryPkgApiResourceQuantity(amount) for name, amount in (resources | slices).items()}

    return models.IoK8sApiCoreV1Container(
        name="node",
        image=settings.cluster.image(settings.training.image),
        command=["python", "-m", "runtimes.fine_tune", "--help"],
        workingDir=HOME,
        resources=models.IoK8sApiCoreV1ResourceRequirements(
            requests=amounts(cpu="4", memory="24Gi"), limits=amounts(memory="48Gi")
        ),
        volumeMounts=[models.IoK8sApiCoreV1VolumeMount(name="home", mountPath=HOME)],
        securityContext=models.IoK8sApiCoreV1SecurityContext(
            allowPrivilegeEscalation=False, capabilities=models.IoK8sApiCoreV1Capabilities(drop=["ALL"])
        ),
    )
