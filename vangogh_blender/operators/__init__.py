"""The operators: they ask and report; the work is done by the modules beside this package."""

from . import farm, jobs, models, painting, region, runtime, scene, sound

classes = (
    *jobs.classes,
    *sound.classes,
    *painting.classes,
    *region.classes,
    *scene.classes,
    *runtime.classes,
    *models.classes,
    *farm.classes,
)
