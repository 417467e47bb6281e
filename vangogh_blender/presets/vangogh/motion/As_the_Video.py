import bpy

settings = bpy.context.scene.vangogh

settings.motion = "relative"
settings.strength = 1.0
settings.adapt_scale = True
settings.reference_frame = "auto"
settings.smooth = 1.0
settings.loop = "none"
settings.use_scene_fps = True
