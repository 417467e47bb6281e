"""The operators: they ask and report; the work is done by the modules beside this package."""

from . import farm, gallery, jobs, models, painting, region, runtime, scene, sound

classes = (
    *jobs.classes,
    *sound.classes,
    *painting.classes,
    *region.classes,
    *scene.classes,
    *gallery.classes,
    *runtime.classes,
    *models.classes,
    *farm.classes,
)
