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
        IoK8sApiBatchV1PodFailurePolicy,
        IoK8sApiCoreV1Container,
        IoK8sApiCoreV1EnvVar,
        IoK8sApiCoreV1PodSpec,
        IoK8sApiCoreV1Volume,
        TrainerV1alpha1ClusterTrainingRuntime,
    )

HOME = "/var/lib/cia"
"""Where the shared volume with the corpus, examples, models and adapters is mounted, here and in the pipeline's steps."""

TRAINING = "training"
"""Name of a TrainJob's pods, by which NetworkPolicies know them."""

WORKER = "node"
"""By this name Trainer and its SDK know the container that trains."""

BAD_INPUT = 2
"""What `runtimes.fine_tune` exits with when a second try would end the same way."""

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
            # The torchrun policy. It leaves the number of processes to torchrun ("auto"), which counts the devices that it sees:
            # five slices of a GPU are one. A command of several processes names their number itself.
            mlPolicy=models.TrainerV1alpha1MLPolicy(numNodes=1, torch=models.TrainerV1alpha1TorchMLPolicySource()),
            template=models.TrainerV1alpha1JobSetTemplateSpec(
                spec=models.JobsetV1alpha2JobSetSpec(
                    replicatedJobs=[models.JobsetV1alpha2ReplicatedJob(name="node", template=_job(settings))]
                )
            ),
        ),
    )


def _job(settings: Settings) -> IoK8sApiBatchV1JobTemplateSpec:
    from kubeflow_trainer_api import models

    return models.IoK8sApiBatchV1JobTemplateSpec(
        # By this label the trainer's controller and the SDK know which job trains.
        metadata=models.IoK8sApimachineryPkgApisMetaV1ObjectMeta(
            labels={"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
        ),
        spec=models.IoK8sApiBatchV1JobSpec(
            # Checkpoints lie on the volume, so a second try carries on where the first one ended.
            backoffLimit=1,
            podFailurePolicy=_failures_that_count(),
            template=models.IoK8sApiCoreV1PodTemplateSpec(
                metadata=models.IoK8sApimachineryPkgApisMetaV1ObjectMeta(
                    labels={"app.kubernetes.io/name": TRAINING, "app.kubernetes.io/part-of": "code-assistant"}
                ),
                spec=_pod(settings),
            ),
        ),
    )


def _failures_that_count() -> IoK8sApiBatchV1PodFailurePolicy:
    from kubeflow_trainer_api import models

    evicted = models.IoK8sApiBatchV1PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
    refused = models.IoK8sApiBatchV1PodFailurePolicyOnExitCodesRequirement(
        containerName=WORKER, operator="In", values=[BAD_INPUT]
    )
    return models.IoK8sApiBatchV1PodFailurePolicy(
        rules=[
            # A preempted, evicted or drained pod did nothing wrong: it is replaced as often as that happens.
            models.IoK8sApiBatchV1PodFailurePolicyRule(action="Ignore", onPodConditions=[evicted]),
            models.IoK8sApiBatchV1PodFailurePolicyRule(action="FailJob", onExitCodes=refused),
        ]
    )


def _pod(settings: Settings) -> IoK8sApiCoreV1PodSpec:
    from kubeflow_trainer_api import models

    user = settings.inference_services.user
    return models.IoK8sApiCoreV1PodSpec(
        containers=[_worker(settings)],
        restartPolicy="Never",
        runtimeClassName=settings.cluster.gpu.runtime_class,
        nodeSelector=dict(settings.training.node_selector),
        tolerations=[models.IoK8sApiCoreV1Toleration(key=GPU, operator="Exists", effect="NoSchedule")],
        volumes=_volumes(settings),
        serviceAccountName=TRAINING,
        automountServiceAccountToken=False,
        enableServiceLinks=False,
        # Told to stop, a training closes what is open and ends by itself.
        terminationGracePeriodSeconds=120,
        securityContext=models.IoK8sApiCoreV1PodSecurityContext(
            runAsNonRoot=True,
            runAsUser=user,
            runAsGroup=user,
            fsGroup=user,
            fsGroupChangePolicy="OnRootMismatch",
            seccompProfile=models.IoK8sApiCoreV1SeccompProfile(type="RuntimeDefault"),
        ),
    )


def _volumes(settings: Settings) -> list[IoK8sApiCoreV1Volume]:
    from kubeflow_trainer_api import models

    def empty(name: str, size: str, medium: str | None = None) -> IoK8sApiCoreV1Volume:
        limit = models.IoK8sApimachineryPkgApiResourceQuantity(size)
        source = models.IoK8sApiCoreV1EmptyDirVolumeSource(sizeLimit=limit, medium=medium)
        return models.IoK8sApiCoreV1Volume(name=name, emptyDir=source)

    claim = models.IoK8sApiCoreV1PersistentVolumeClaimVolumeSource(claimName=settings.cluster.home_claim)
    return [
        models.IoK8sApiCoreV1Volume(name="home", persistentVolumeClaim=claim),
        # Processes of one training hand each other batches through it; a container has 64 MiB by default.
        empty("shared-memory", settings.cluster.train_job.shared_memory, "Memory"),
        empty("tmp", "20Gi"),
    ]


def _worker(settings: Settings) -> IoK8sApiCoreV1Container:
    from kubeflow_trainer_api import models

    def amounts(cpu: str) -> dict[str, models.IoK8sApimachineryPkgApiResourceQuantity]:
        taken = {"cpu": cpu, "memory": compute.memory, GPU: str(settings.training.gpu_slices)}
        return {name: models.IoK8sApimachineryPkgApiResourceQuantity(amount) for name, amount in taken.items()}

    compute = settings.cluster.train_job.compute
    mounts = {"home": HOME, "shared-memory": "/dev/shm", "tmp": "/tmp"}
    return models.IoK8sApiCoreV1Container(
        name=WORKER,
        image=settings.cluster.image(settings.training.image),
        command=["python", "-m", "runtimes.fine_tune", "--help"],
        workingDir=HOME,
        env=_environment(settings),
        resources=models.IoK8sApiCoreV1ResourceRequirements(requests=amounts(compute.cpu), limits=amounts(compute.cpu_limit)),
        volumeMounts=[models.IoK8sApiCoreV1VolumeMount(name=name, mountPath=path) for name, path in mounts.items()],
        securityContext=models.IoK8sApiCoreV1SecurityContext(
            allowPrivilegeEscalation=False,
            readOnlyRootFilesystem=True,
            capabilities=models.IoK8sApiCoreV1Capabilities(drop=["ALL"]),
        ),
    )


def _environment(settings: Settings) -> list[IoK8sApiCoreV1EnvVar]:
    from kubeflow_trainer_api import models

    # Compilers keep caches under HOME. No training fetches its base model: a job has put it on the volume.
    values = {"HOME": "/tmp", "HF_HOME": model_cache(settings), "HF_HUB_OFFLINE": "1"}

    def secret(name: str, key: str) -> IoK8sApiCoreV1EnvVar:
        selector = models.IoK8sApiCoreV1SecretKeySelector(name=settings.cluster.secret, key=key, optional=True)
        source = models.IoK8sApiCoreV1EnvVarSource(secretKeyRef=selector)
        return models.IoK8sApiCoreV1EnvVar(name=name, valueFrom=source)

    return [
        *(models.IoK8sApiCoreV1EnvVar(name=name, value=value) for name, value in values.items()),
        *(secret(name, key) for name, key in settings.inference_services.secret_variables.items()),
    ]


def model_cache(settings: Settings) -> str:
    """Return the folder that base models are kept in, laid out as the hub's own client does."""
    return f"{HOME}/{settings.cluster.train_job.base_cache}"
