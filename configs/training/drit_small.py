# DRIT on two cores. Deviations from drit.py: narrow networks, a short training at a higher rate, which falls to zero.
# The crops stay: the discriminator of contents needs 212 pixels.
_base_ = ["drit.py"]

train_dataloader = dict(num_workers=1)
schedule = dict(unit="steps", constant=600, decay=300)
model = dict(generator=dict(width=8), discriminator=dict(width=8), content_discriminator=dict(width=8))
optim_wrapper = dict(generator=dict(optimizer=dict(lr=4e-4)), discriminators=dict(optimizer=dict(lr=4e-4)))
