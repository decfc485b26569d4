# What every enhancer's training has in common: the paper's section 4.1, and how a run behaves.
# Values to change: --cfg-options data_root=DIR train_dataloader.batch_size=4 schedule.constant=50 ...
default_scope = "mmengine"

# trainA and trainB, as `duskbench data unpaired` writes them; a list takes several together.
data_root = "data/unpaired"
train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(type="UnpairedCrops", crop=256),
    sampler=dict(type="SampleNumbers"),
)
# The learning rate is constant, then falls linearly to zero. An epoch is every image of the larger domain once; the
# unit "steps" counts optimisation steps instead. milestones=[N, ...] multiplies the rate by factor (0.5) there.
schedule = dict(unit="epochs", constant=100, decay=100)
# One optimizer for each trained network: optim_wrapper = dict(generator=dict(...), discriminator=dict(...)).
# Options, off in the paper's settings: type="AmpOptimWrapper" (half precision on a GPU) and
# clip_grad=dict(max_norm=1.0) in an optimizer's dict; and here channels_last (for GPUs with half precision; a CPU
# without AVX-512 computes the gradients of weights three times slower in that layout) and ema (0.999 keeps a moving
# average of the weights, and exports that). compile=True has torch.compile translate the networks that learn, where a
# C++ compiler is there; docs/speed.md says what it gains.
channels_last = False
compile = False
ema = None

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=500, max_keep_ckpts=2),
)
custom_hooks = [dict(type="LossGuard"), dict(type="SampleGrid", interval=500, images=4)]
log_processor = dict(by_epoch=False, window_size=50)
# TensorBoard, W&B and MLflow: add dict(type="TensorboardVisBackend"), "WandbVisBackend" or "MLflowVisBackend".
visualizer = dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")])
randomness = dict(seed=0)
