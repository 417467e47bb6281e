import bpy

settings = bpy.context.scene.vangogh

settings.motion = "relative"
settings.strength = 0.4
settings.adapt_scale = True
settings.reference_frame = "first"
settings.smooth = 3.0
settings.loop = "seamless"
settings.use_scene_fps = True
