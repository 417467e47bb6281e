"""The operators: they ask and report; the work is done by the modules beside this package."""

from . import jobs, painting, scene

classes = (*jobs.classes, *painting.classes, *scene.classes)
